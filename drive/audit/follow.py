"""Reads logs as they grow."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from drive.audit.auditing import findings_so_far
from drive.audit.inputs import STDIN, Input, InputError, is_no_text
from drive.audit.model import Finding, Kind, Rules
from drive.audit.reader import Intake
from drive.audit.scan import Scanner
from drive.audit.store import Group, Place, Store

_INTERVAL_S = 0.25
_LAST_LINES_S = 3.0
"""At Ctrl-C, whoever writes to our stdin ends, too, and tells what it closes."""


def follow(inputs: list[Input], store: Store, intake: Intake, rules: Rules, tell: Callable[[Finding], None]) -> None:
    """Tell what is found as soon as its lines are there, until stdin ends, or Ctrl-C or SIGTERM.

    What is absent, such as the end of a channel, is no finding while it may still come: the report has it.
    """
    told: set[tuple[Kind, Place | None]] = set()
    with ExitStack() as stack:
        tails = []
        for one in inputs:  # a pipe makes us wait here until somebody writes, which Ctrl-C must end
            tails.append(Tail(one, store, intake))
            stack.callback(tails[-1].close)
        stop = stack.enter_context(_stop_signal())
        groups = _read(tails)
        store.index()
        while True:
            for finding in findings_so_far(store, rules, groups):
                if (finding.kind, finding.place) not in told:
                    told.add((finding.kind, finding.place))
                    tell(finding)
            if all(tail.has_ended for tail in tails) or stop.is_set():
                break
            _wait(tails)
            groups = _read(tails)
        _read_last(tails)


def _read(tails: list["Tail"]) -> set[Group]:
    return {group for tail in tails for group in tail.read()}


def _read_last(tails: list["Tail"]) -> None:
    """Read what whoever writes to a stream says at its end; Ctrl-C has reached it, too."""
    until_s = time.monotonic() + _LAST_LINES_S
    _read(tails)
    while any(tail.is_stream and not tail.has_ended for tail in tails) and time.monotonic() < until_s:
        _wait(tails)
        _read(tails)


class Tail:
    """A log that grows, and that may be put aside for a new one of its name."""

    def __init__(self, source: Input, store: Store, intake: Intake) -> None:
        self._source = source
        self._store = store
        self._intake = intake
        self.has_ended = False
        """Whether there will be no more of it."""
        self._begin(0 if source.name == STDIN else os.open(source.name, os.O_RDONLY))
        self.is_stream = source.name == STDIN or not S_ISREG(os.fstat(self.descriptor).st_mode)
        """Whether it has an end, and can be waited for."""

    def close(self) -> None:
        """Close the file; stdin stays as it was."""
        if self.descriptor:
            os.close(self.descriptor)

    def read(self) -> set[Group]:
        """Read what there is; return whose events there were among it."""
        groups = set()
        while count := self._read_once():
            groups |= self._intake.take(self._file, self._scanner.advance(count))
            self._intake.took(count)
        if self.has_ended:
            groups |= self._intake.take(self._file, self._scanner.finish())
        elif (descriptor := self._successor()) is not None:
            groups |= self._intake.take(self._file, self._scanner.finish())
            self.close()
            self._begin(descriptor)
            groups |= self.read()
        return groups

    def _begin(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._scanner = Scanner(counts_lines=True)
        self._file = self._store.add_file(self._source)

    def _read_once(self) -> int:
        if self.has_ended or (self.is_stream and not select.select([self.descriptor], [], [], 0)[0]):
            return 0
        room = self._scanner.room()
        try:
            count = os.readv(self.descriptor, [room])
        except OSError as error:
            return self._refuse(str(error.strerror))
        if self._scanner.position == 0 and is_no_text(bytes(room[:count])):
            return self._refuse("it is no text, and cannot be followed")
        self.has_ended = self.is_stream and count == 0
        return count

    def _refuse(self, reason: str) -> int:
        self._intake.refuse(InputError(f"{self._source.name}: {reason}"))
        self.has_ended = True
        return 0

    def _successor(self) -> int | None:
        """Open the file that has the name now, if it is another, or was emptied, and if it is one that can be read."""
        if self.is_stream:
            return None
        ours = os.fstat(self.descriptor)
        with suppress(OSError):  # between two files, say
            theirs = Path(self._source.name).stat()
            is_other = (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino)
            if S_ISREG(theirs.st_mode) and (is_other or ours.st_size < self._scanner.position):
                return os.open(self._source.name, os.O_RDONLY)
        return None


def _wait(tails: list[Tail]) -> None:
    """Wait for streams to have more; files cannot be waited for."""
    streams = [tail.descriptor for tail in tails if tail.is_stream and not tail.has_ended]
    select.select(streams, [], [], _INTERVAL_S)


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set, so that neither interrupts what is being noted."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
