"""The events of all logs, on disk and in order."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from drive.audit.events import Event, What
from drive.audit.inputs import Input


class StoreError(Exception):
    """The events cannot be put aside; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line is."""

    file: int
    """The number that `Store.add_file` gave."""
    position: int
    number: int | None
    """Of the line; None where it must still be counted."""


class Group(NamedTuple):
    """Lines of one container, or file, that name one pid: those of one process after the other."""

    family: str
    label: str
    pid: int


class Store:
    """A database in a file that nobody else sees, and that is gone with us. Threads may share it.

    What is not in memory does not grow with the log, and the sorting is done already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("begin")
        self.files: list[Input] = []

    def close(self) -> None:
        """Forget all."""
        self._database.close()

    def add_file(self, source: Input) -> int:
        """Return the number of a log whose events will come."""
        with self._lock:
            self.files.append(source)
            return len(self.files) - 1

    def add(self, events: Iterable[tuple[Place, Event]]) -> None:
        """Take events, in any order.

        Raises:
            StoreError: the disk is full, or the like.

        """
        rows = (
            (
                place.file, place.position, place.number, self.files[place.file].family, event.label, event.pid,
                event.what, event.at_us, event.begun_us, event.endpoint, event.service, event.max_connections,
                event.reason, event.is_asked,
            )
            for place, event in events
        )  # fmt: skip
        try:
            with self._lock:
                self._database.executemany(_INSERT, rows)
        except sqlite3.Error as error:
            raise StoreError(
                f"{error}: SQLITE_TMPDIR=/path names a folder with more space for what is found."
            ) from error

    def groups(self) -> Iterator[tuple[Group, Iterator[tuple[Place, Event]]]]:
        """Yield all events, group by group, each in order of time."""
        from itertools import groupby

        self._rank_files()
        rows = self._database.execute(_SELECT.replace(_HERE, ""))
        for group, of_group in groupby(rows, lambda row: Group(*row[:3])):
            yield group, map(_restored, of_group)

    def events(self, group: Group) -> Iterator[tuple[Place, Event]]:
        """Yield the events of one group, in order of time."""
        self._rank_files()
        rows = self._database.execute(_SELECT.replace(_HERE, "where family = ? and label = ? and pid = ?"), group)
        return map(_restored, rows)

    def index(self) -> None:
        """Make `events` fast, and `add` slower."""
        self._database.execute("create index by_group on events (family, label, pid)")

    def _rank_files(self) -> None:
        """Order the files: as their numbers say, then by their first moment, then as the arguments are."""
        firsts = dict(self._database.execute("select file, min(at) from events group by file"))
        ranked = sorted(
            range(len(self.files)),
            key=lambda one: (-self.files[one].rotation, firsts.get(one) or 0, self.files[one].index, one),
        )
        self._database.execute("delete from ranks")
        self._database.executemany("insert into ranks values (?, ?)", [(one, rank) for rank, one in enumerate(ranked)])


_SCHEMA = """
create table events (
    file integer, position integer, line integer, family text, label text, pid integer,
    what integer, at integer, begun integer, endpoint text, service text, connections integer, reason text,
    asked integer
);
create table ranks (file integer primary key, rank integer);
"""
_INSERT = f"insert into events values ({', '.join('?' * 14)})"  # noqa: S608 - only question marks
# A line without a moment has that of the line before it. A process begins before it says so.
_HERE = "/* where */"
_SELECT = """
select family, label, pid, events.file, position, line, what, at, begun, endpoint, service, connections, reason, asked
from (
    select *, coalesce(begun, max(at) over (partition by family, label, pid, file order by position)) as moment
    from events /* where */
) as events join ranks on ranks.file = events.file
order by family, label, pid, moment nulls first, begun is null, rank, position
"""


def _restored(row: tuple[object, ...]) -> tuple[Place, Event]:
    _, label, pid, file, position, number, what, at_us, begun_us, endpoint, service, connections, reason, asked = row
    event = Event(What(what), pid, label, at_us, begun_us, endpoint, service, connections, reason, is_asked=bool(asked))  # type: ignore[arg-type]
    return Place(file, position, number), event  # type: ignore[arg-type]
