"""Crashes, cancelling and full disks, at every point where they can happen."""

import asyncio
import errno
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from storage_support import CONTENT, Staged, body_of, content_of, open_files, promote, write
from support.waiting import eventually

from drive.storage import local, writer
from drive.storage.interfaces import StoreBusyError, StoreFullError
from drive.storage.local import LocalStore

CALLS = ("open", "pwrite", "fdatasync", "fsync", "rename", "mkdir", "pread")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "storage")


class CrashError(BaseException):
    """The process is gone."""


@contextmanager
def failing(number: int, error: BaseException) -> Iterator[list[str]]:
    """Let the n-th call to the system fail, and give the names of those that were made."""
    made: list[str] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            made.append(name)
            if len(made) == number:
                raise error
            return real(*args, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrapped(name, getattr(os, name)))
        yield made


async def test_an_upload_is_whole_whatever_call_its_process_crashed_at(tmp_path: Path) -> None:
    """All of it can be repeated, with another process's store; nothing half-written is ever an object."""
    reached = set()
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        with failing(number, CrashError()) as made, suppress(CrashError):
            crashing = LocalStore(folder)
            await write(crashing, "object", CONTENT[:5])
            await write(crashing, "object", CONTENT[5:], offset=5)
            await promote(crashing, CONTENT)
        store = LocalStore(folder)
        if store.path("object").exists():
            assert store.path("object").read_bytes() == CONTENT
        else:
            await write(store, "object", CONTENT[5:], offset=5)
            await write(store, "object", CONTENT[:5])
        assert await promote(store, CONTENT) == content_of(CONTENT)
        assert store.path("object").read_bytes() == CONTENT
        assert await store.staged() == []
        assert open_files(folder) == []
        if len(made) < number:
            break
        reached.add(made[-1])
    assert reached == set(CALLS)


async def test_a_full_disk_is_told_as_such_whatever_call_finds_it(tmp_path: Path) -> None:
    """And what was written before is still there when there is space again."""
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        store = LocalStore(folder)
        with failing(number, OSError(errno.ENOSPC, "full")) as made:
            try:
                await write(store, "object", CONTENT)
                await promote(store, CONTENT)
            except StoreFullError:
                assert open_files(folder) == []
        if len(made) < number:
            break
        if not store.path("object").exists():
            await write(store, "object", CONTENT)
        assert await promote(store, CONTENT) == content_of(CONTENT)


async def test_other_errors_of_the_system_are_passed_on(store: LocalStore, tmp_path: Path) -> None:
    with failing(1, OSError(errno.EIO, "broken")), pytest.raises(OSError, match="broken"):
        await write(store, "object", CONTENT)
    assert open_files(tmp_path) == []


async def test_cancelling_a_write_at_any_moment_corrupts_and_leaks_nothing(store: LocalStore, tmp_path: Path) -> None:
    """It may be cancelled twice; the part is free again at once."""
    content = os.urandom(2_500_000)
    pieces = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]

    async def slow() -> Any:
        for piece in pieces:
            await asyncio.sleep(0)
            yield piece

    async def write_slowly() -> None:
        async with store.part(Staged(), offset=0, most_bytes=len(content)) as part:
            await part.write(slow())

    cancelled = 0
    for turns in range(0, 120, 3):
        writing = asyncio.create_task(write_slowly())
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        cancelled += writing.cancelled()
        assert open_files(tmp_path) == []
    assert cancelled > 10
    await write_slowly()
    assert await promote(store, content) == content_of(content)


class Held:
    """Lets a function of the store, in its thread, wait until it is released."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self._real = real

    def __call__(self, *args: Any) -> Any:
        done = self._real(*args)
        self.began.set()
        self.go.wait(10)
        return done


@pytest.mark.parametrize(("module", "name"), [(local, "_open_for_writing"), (writer, "_write_pieces")])
async def test_a_cancelled_write_waits_for_its_thread_before_it_closes_the_file(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    """A file that is closed under a thread may be another one by then; one that nobody closes is lost."""
    held = Held(getattr(module, name))
    monkeypatch.setattr(module, name, held)
    writing = asyncio.create_task(write(store, "object", CONTENT))
    await eventually(held.began.is_set)
    writing.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not writing.done()
    assert len(open_files(tmp_path)) == 1
    held.go.set()
    await asyncio.wait([writing])
    assert writing.cancelled()
    assert open_files(tmp_path) == []


async def test_more_of_a_body_is_taken_while_a_thread_writes(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(writer._write_pieces)
    monkeypatch.setattr(writer, "_write_pieces", held)
    taken = 0

    async def arriving() -> Any:
        nonlocal taken
        for _ in range(8):
            yield bytes(512 * 1024)
            taken += 1

    writing = asyncio.create_task(store.write("object", arriving(), mime_type="text/plain"))
    await eventually(held.began.is_set)
    await eventually(lambda: taken == 3)  # and the fourth is not let go before the first two are written
    held.go.set()

    assert await writing == 4 * 1024 * 1024
    assert store.path("object").read_bytes() == bytes(4 * 1024 * 1024)


async def test_a_body_that_breaks_off_while_the_disk_fails_is_what_is_told(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(writer, "_write_pieces", fail)

    async def breaking() -> Any:
        yield bytes(2 * 1024 * 1024)
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError, match="the client is gone"):
        await store.write("object", breaking(), mime_type="text/plain")
    assert open_files(tmp_path) == []


async def test_a_cancelled_promotion_is_done_or_not_and_nothing_between(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, "object", CONTENT)
    held = Held(local._make_folder)
    monkeypatch.setattr(local, "_make_folder", held)
    promoting = asyncio.create_task(promote(store, CONTENT))
    await eventually(held.began.is_set)
    promoting.cancel()
    held.go.set()
    await asyncio.wait([promoting])
    assert promoting.cancelled()
    assert store.path("object").read_bytes() == CONTENT
    assert open_files(tmp_path) == []
    assert await promote(store, CONTENT) == content_of(CONTENT)


@pytest.mark.parametrize("when", ["before it opens the file", "before it locks the file", "before it renames the file"])
async def test_two_promotions_at_once_both_find_the_object(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Whenever the other one comes in between; the last case is refused, as it holds the lock."""
    await write(store, "object", CONTENT)
    waits, go = threading.Event(), threading.Event()

    def hold() -> None:
        if not waits.is_set():
            waits.set()
            go.wait(10)

    real_open, real_lock, real_make = os.open, local._lock, local._make_folder

    def open_late(path: Any, *args: Any) -> int:
        if str(path).endswith("object"):
            hold()
        return real_open(path, *args)

    def lock_late(*args: Any) -> None:
        hold()
        real_lock(*args)

    def make_late(folder: Path) -> None:
        hold()
        real_make(folder)

    if "opens" in when:
        monkeypatch.setattr(os, "open", open_late)
    elif "locks" in when:
        monkeypatch.setattr(local, "_lock", lock_late)
    else:
        monkeypatch.setattr(local, "_make_folder", make_late)
    late = asyncio.create_task(promote(store, CONTENT))
    await eventually(waits.is_set)
    if "renames" in when:
        with pytest.raises(StoreBusyError):
            await promote(store, CONTENT)
    else:
        assert await promote(store, CONTENT) == content_of(CONTENT)
    go.set()
    assert await late == content_of(CONTENT)
    assert store.path("object").read_bytes() == CONTENT
    assert await store.staged() == []


HOLD = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from drive.storage.local import LocalStore

async def hold():
    upload = SimpleNamespace(object_id="object")
    async with LocalStore(Path(sys.argv[1])).part(upload, offset=4, most_bytes=4):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give another process that holds the second four bytes of the upload."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "storage")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def test_a_part_is_locked_for_other_processes_until_its_own_is_killed(
    store: LocalStore, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(StoreBusyError):
        await write(store, "object", CONTENT[4:8], offset=4)
    with pytest.raises(StoreBusyError):
        await promote(store, CONTENT)
    await write(store, "object", CONTENT[:4])
    await write(store, "object", CONTENT[8:], offset=8)
    holder.kill()
    holder.wait()
    await write(store, "object", CONTENT[4:8], offset=4)
    assert await promote(store, CONTENT) == content_of(CONTENT)


async def test_what_is_written_while_the_disk_is_full_can_be_written_when_it_is_not(store: LocalStore) -> None:
    """The disk takes some of it before it is full."""
    real = os.pwrite

    def short(fd: int, data: bytes, offset: int) -> int:
        if offset >= 6:
            raise OSError(errno.EDQUOT, "over quota")
        return real(fd, data[:3], offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", short)
        async with store.part(Staged(), offset=0, most_bytes=10) as part:
            with pytest.raises(StoreFullError):
                await part.write(body_of(CONTENT))
        assert await write(store, "object", CONTENT[:6]) == 6
    await write(store, "object", CONTENT[6:], offset=6)
    assert await promote(store, CONTENT) == content_of(CONTENT)
