"""From logs to a report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from drive.audit.inputs import Input, line_numbers
from drive.audit.judge import Judge
from drive.audit.model import Finding, Kind, Process, Rules
from drive.audit.reader import Intake
from drive.audit.store import Group, Place, Store

CLEAN, FOUND, UNREADABLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit has found."""

    processes: list[Process]
    findings: list[Finding]
    files: list[Input]
    lines: "Lines"
    rules: Rules
    read_bytes: int
    unreadable: int
    first_unreadable: Place | None
    problems: list[str]

    @property
    def status(self) -> int:
        """What the command exits with."""
        if self.problems or (self.unreadable and not self.processes):
            return UNREADABLE
        return FOUND if self.findings else CLEAN


@dataclass(frozen=True, slots=True)
class Lines:
    """The numbers of lines, counted only where somebody asks for them."""

    files: list[Input]
    counted: dict[tuple[int, int], int] = field(default_factory=dict)

    def count(self, places: Iterable[Place]) -> None:
        """Count up to these, each file once. One that is gone by now stays uncounted."""
        by_file: dict[int, list[int]] = {}
        for place in places:
            if place.number is None and (place.file, place.position) not in self.counted:
                by_file.setdefault(place.file, []).append(place.position)
        for file, positions in by_file.items():
            try:
                numbers = line_numbers(self.files[file].name, positions)
            except OSError:  # rotated away: its name has to do
                continue
            self.counted.update(((file, position), number) for position, number in numbers.items())

    def number(self, place: Place) -> int | None:
        """Return the number of a place's line; None where it could not be counted."""
        return place.number or self.counted.get((place.file, place.position))

    def name(self, place: Place | None) -> str:
        """Return `file:line`."""
        if place is None:
            return "(no line)"
        name, number = self.files[place.file].name, self.number(place)
        return f"{'stdin' if name == '-' else name}{'' if number is None else f':{number}'}"


def make_report(
    store: Store, intake: Intake, rules: Rules, *, since_us: int | None = None, keeps_spans: bool = False
) -> Report:
    """Judge all that was read.

    Args:
        store: what was read.
        intake: what else is known of the reading.
        rules: how it should be.
        since_us: leave out processes whose last line is older, and findings that are.
        keeps_spans: whether a picture is to be drawn.

    """
    processes, findings = [], []
    judge = Judge(rules, keeps_spans=keeps_spans)
    for group, events in store.groups():
        for process, found in judge.processes(group, events):
            if _is_since(process.last_at_us, since_us):
                processes.append(process)
                findings += [one for one in found if _is_since(one.at_us, since_us)]
    if not processes:
        findings += _absent(rules)
    processes.sort(key=lambda one: (one.started_at_us or one.last_at_us or 0, one.first.file, one.first.position))
    findings.sort(key=lambda one: (one.place.file, one.place.position) if one.place else (-1, -1))
    lines = Lines(store.files)
    first = [] if intake.first_unreadable is None else [intake.first_unreadable]
    lines.count([*first, *(one.place for one in findings if one.place is not None)])
    return Report(
        processes, findings, store.files, lines, rules,
        intake.read_bytes, intake.unreadable, intake.first_unreadable, intake.problems,
    )  # fmt: skip


def findings_so_far(store: Store, rules: Rules, groups: Iterable[Group]) -> Iterator[Finding]:
    """Judge groups of which more may come: what is absent yet is no finding."""
    judge = Judge(rules)
    for group in groups:
        for _, found in judge.processes(group, store.events(group), is_complete=False):
            yield from found


def _absent(rules: Rules) -> list[Finding]:
    return [
        Finding(
            Kind.UNEXPECTED,
            None,
            None,
            None,
            rules.endpoint_of(name),
            f"{name}={count} was expected of no process: the logs have none",
        )
        for name, count in rules.expected.items()
    ]


def _is_since(at_us: int | None, since_us: int | None) -> bool:
    return since_us is None or at_us is None or at_us >= since_us
