"""What can be measured, in the order of the page."""

import importlib
from collections.abc import Sequence
from typing import Final, Protocol, cast

from bench.measure import Effort
from bench.tables import Plot, Table

SUBJECTS: Final = (
    "memory",
    "start",
    "http.info",
    "http.transfers",
    "scaling",
    "growth",
    "audit",
    "faults",
    "soak",
    "lazy.calls",
    "lazy.stall",
    "lazy.memory",
    "lazy.resolve",
    "lazy.once",
    "lazy.overrides",
    "lazy.imports",
)
"""Modules of `bench`. Those of a package are the parts of a subject, which its name stands for."""


class Subject(Protocol):
    """A module that measures. Its docstring, in Markdown, says how to read the rows; its first line is the heading."""

    __doc__: str | None

    def tables(self, effort: Effort) -> Sequence[Table | Plot]:
        """Measure."""


class UnknownSubjectError(ValueError):
    """A name that stands for nothing, with those that there are."""


def chosen(names: Sequence[str]) -> list[str]:
    """Return the subjects that names stand for, all where there is none, in the order of the page.

    Raises:
        UnknownSubjectError: a name is neither a subject nor a part of one.

    """
    for name in names:
        if not any(_stands_for(name, subject) for subject in SUBJECTS):
            heads = dict.fromkeys(subject.partition(".")[0] for subject in SUBJECTS)
            raise UnknownSubjectError(
                f"there is no {name!r}; there are {', '.join(heads)}, and parts such as {SUBJECTS[-1]}"
            )
    return [subject for subject in SUBJECTS if not names or any(_stands_for(name, subject) for name in names)]


def _stands_for(name: str, subject: str) -> bool:
    return subject == name or subject.startswith(f"{name}.")


def module(subject: str) -> Subject:
    """Import a subject."""
    return cast("Subject", importlib.import_module(f"bench.{subject}"))
