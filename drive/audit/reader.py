"""Reads whole logs, on all processors."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from drive.audit.events import UnreadableError, parse
from drive.audit.inputs import Input, InputError, ranges, reading
from drive.audit.progress import Progress
from drive.audit.scan import Hit, Scanner
from drive.audit.store import Group, Place, Store

_WAITING_PER_THREAD = 2


class Intake:
    """Puts what is found into the store, and counts the rest. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.read_bytes = 0
        """Of text: of a packed log, when it is unpacked."""
        self.events = 0
        self.unreadable = 0
        """Lines that were events once, and cannot be read."""
        self.first_unreadable: Place | None = None
        self.problems: list[str] = []
        """Of logs that could not be read, or not to their end."""

    def take(self, file: int, hits: list[Hit]) -> set[Group]:
        """Take the hits of one file; return whose events there were among them."""
        found, unreadable = [], []
        for hit in hits:
            place = Place(file, hit.position, hit.number)
            try:
                event = parse(hit.line)
            except UnreadableError:
                unreadable.append(place)
            else:
                if event is not None:
                    found.append((place, event))
        if found:
            self._store.add(found)
        if found or unreadable:
            self._count(len(found), unreadable)
        family = self._store.files[file].family
        return {Group(family, event.label, event.pid) for _, event in found}

    def took(self, count_bytes: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.read_bytes += count_bytes

    def refuse(self, error: InputError) -> None:
        """Remember why a log was not read to its end."""
        with self._lock:
            self.problems.append(str(error))

    def _count(self, events: int, unreadable: list[Place]) -> None:
        with self._lock:
            self.events += events
            self.unreadable += len(unreadable)
            known = [self.first_unreadable] if self.first_unreadable else []
            self.first_unreadable = min([*known, *unreadable], key=lambda one: (one.file, one.position), default=None)


def read_all(inputs: list[Input], store: Store, intake: Intake, progress: Progress) -> None:
    """Read logs to their end, several parts at a time. What cannot be read is noted, and the others are read.

    The calling thread reads stdin and pipes, last: only there can Ctrl-C end the waiting for them.
    """
    files = [one for one in inputs if one.size_bytes]
    reader = _Reader(store, intake, progress)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: set[Future[None]] = set()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for part in reader.parts(files):
                waiting.add(pool.submit(part))
                if len(waiting) >= threads * _WAITING_PER_THREAD:
                    waiting = _done(waiting, FIRST_COMPLETED)
            while waiting:
                waiting = _done(waiting, FIRST_COMPLETED)
            for one in inputs:
                if one not in files:
                    reader.read_stream(store.add_file(one), one)
        except BaseException:
            reader.stop.set()
            raise


def _done(waiting: set[Future[None]], when: str) -> set[Future[None]]:
    done, rest = wait(waiting, return_when=when)
    for one in done:
        one.result()
    return rest


class _Reader:
    def __init__(self, store: Store, intake: Intake, progress: Progress) -> None:
        self._store = store
        self._intake = intake
        self._progress = progress
        self.stop = threading.Event()

    def parts(self, inputs: list[Input]) -> Iterator["partial[None]"]:
        """Yield what can be done at the same time."""
        for one in inputs:
            file = self._store.add_file(one)
            if not one.is_plain:
                yield partial(self.read_stream, file, one)
                continue
            try:
                for start, end in ranges(one.name, one.size_bytes):
                    yield partial(self.read_range, file, one, start, end)
            except InputError as error:
                self._intake.refuse(error)

    def read_range(self, file: int, source: Input, start: int, end: int) -> None:
        """Read a part of a plain file; its lines are counted later, where that is needed."""
        scanner = Scanner(position=start)
        try:
            with reading(source.name) as (_, stored):
                while scanner.position < end and not self.stop.is_set():
                    room = scanner.room()[: end - scanner.position]
                    if not (count := os.preadv(stored.fileno(), [room], scanner.position)):
                        break
                    self._intake.take(file, scanner.advance(count))
                    self._progress.add(count)
        except InputError as error:
            self._intake.refuse(error)
        self._intake.take(file, scanner.finish())
        self._intake.took(scanner.position - start)

    def read_stream(self, file: int, source: Input) -> None:
        """Read what can only be read from its beginning."""
        scanner = Scanner(counts_lines=True)
        shown_bytes = 0
        try:
            with reading(source.name) as (text, stored):
                while not self.stop.is_set() and (count := text.readinto(scanner.room())):
                    self._intake.take(file, scanner.advance(count))
                    done_bytes = stored.tell() if source.size_bytes else scanner.position
                    self._progress.add(done_bytes - shown_bytes)
                    shown_bytes = done_bytes
        except InputError as error:
            self._intake.refuse(error)
        self._intake.take(file, scanner.finish())
        self._intake.took(scanner.position)
