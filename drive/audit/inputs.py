"""Logs, wherever they are and however they are packed."""

import fcntl
import gzip
import os
import re
import subprocess
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedReader, FileIO
from pathlib import Path
from shutil import copyfileobj
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO, Protocol

STDIN = "-"
RANGE_BYTES = 32 * 1024 * 1024
_MAGIC_BYTES = 10
_GZIP = re.compile(rb"\x1f\x8b")
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # pzstd begins with a frame to be skipped
# What would pass for a log without a line of ours, and what makes a text of it.
_OTHERS = {
    re.compile(rb"\xfd7zXZ\0"): "xz -dc",
    re.compile(rb"BZh[1-9]1AY&SY"): "bzip2 -dc",
    re.compile(rb"\x04\x22\x4d\x18"): "lz4 -dc",
    re.compile(rb"PK\x03\x04"): "unzip -p",
    re.compile(rb"LPKSHHRH"): "journalctl -o json --file",
    re.compile(rb"\xff\xfe|\xfe\xff"): "iconv -f UTF-16",
}
_BLOCK_BYTES = 64 * 1024
_PIPE_BYTES = 1024 * 1024

# app.log.1, app.log.2.gz, app.log-20261124.zst, 0.log.20261124-035825.gz and app-2026-11-24.log are app.log's.
_PACKED = re.compile(r"\.(?:gz|zst)$")
_NUMBERED = re.compile(r"\.(\d{1,6})$")
_DATED = re.compile(r"[.-]\d{4}-?\d\d-?\d\d(?:[T._-]?\d\d[:_-]?\d\d(?:[:_-]?\d\d)?)?(?=\.|$)")


class InputError(Exception):
    """A log that cannot be read, or not to its end; the message says why."""


class Readable(Protocol):
    """What gives bytes until there are none."""

    def readinto(self, room: memoryview, /) -> int | None:
        """Write into the room, and return how many bytes that were; 0 at the end."""


@dataclass(frozen=True, slots=True)
class Input:
    """One log. Files of one family are parts of one log, that were put aside when they were full."""

    name: str
    index: int
    family: str
    rotation: int
    """How often it was put aside; 0 where its name does not tell."""
    size_bytes: int = 0
    """As it is stored; 0 where nobody knows."""
    is_plain: bool = False
    """Whether any part of it can be read by itself."""
    is_packed: bool = False


def find_inputs(names: Sequence[str]) -> tuple[list[Input], list[str]]:
    """Return what was named, each once however many names it has, and what is wrong with the others."""
    inputs: list[Input] = []
    problems: list[str] = []
    seen: set[tuple[int, int]] = set()
    for index, name in enumerate(names or [STDIN]):
        try:
            status = os.fstat(0) if name == STDIN else Path(name).stat()
            if S_ISDIR(status.st_mode):
                raise IsADirectoryError(0, "it is a folder: name the files in it")
            is_file = S_ISREG(status.st_mode)
            is_packed = name != STDIN and is_file and _is_packed(Path(name))
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
            continue
        if (status.st_dev, status.st_ino) not in seen:
            one = make_input(name, index)
            size_bytes = status.st_size if is_file else 0
            is_plain = size_bytes > 0 and name != STDIN and not is_packed
            inputs.append(replace(one, size_bytes=size_bytes, is_plain=is_plain, is_packed=is_packed))
        seen.add((status.st_dev, status.st_ino))
    return inputs, problems


def make_input(name: str, index: int) -> Input:
    """Tell from a file's name which log it is a part of."""
    path = Path(name)
    bare = _PACKED.sub("", path.name)
    number = _NUMBERED.search(bare)
    family = _DATED.sub("", _NUMBERED.sub("", bare)) or bare
    family = STDIN if name == STDIN else str(path.with_name(family))
    return Input(name, index, family, int(number[1]) if number else 0)


@contextmanager
def reading(name: str) -> Iterator[tuple[Readable, BufferedReader]]:
    """Open a log from its beginning: what gives its text, and the file, whose position tells how far that is.

    Raises:
        InputError: it cannot be read, or ends too early.

    """
    try:
        with _opened(name) as file, _unpacked(file) as text:
            yield text, file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}") from error


def _opened(name: str) -> BufferedReader:
    return open(0, "rb", closefd=False) if name == STDIN else Path(name).open("rb")


def ranges(name: str, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield parts of a plain file that begin and end with lines, as the file is now.

    Raises:
        InputError: it cannot be read.

    """
    try:
        with Path(name).open("rb", buffering=0) as file:
            start = 0
            while start < size_bytes:
                end = min(_next_line(file, start + RANGE_BYTES), size_bytes)
                yield start, end
                start = end
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from error


def line_numbers(name: str, positions: Sequence[int]) -> dict[int, int]:
    """Return the number of the line at each position of a plain file. Reads it up to the last of them."""
    numbers: dict[int, int] = {}
    block = bytearray(_BLOCK_BYTES * 4)
    with Path(name).open("rb", buffering=0) as file:
        at, number = 0, 1
        for position in sorted(positions):
            while at < position and (count := file.readinto(memoryview(block)[: position - at])):
                number += block.count(b"\n", 0, count)
                at += count
            numbers[position] = number
    return numbers


def _next_line(file: FileIO, position: int) -> int:
    """Return where the first line begins that does not begin before a position, or where the file ends."""
    at = position - 1
    file.seek(at)
    while block := file.read(_BLOCK_BYTES):
        if (newline := block.find(b"\n")) >= 0:
            return at + newline + 1
        at += len(block)
    return at


def _is_packed(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        return is_no_text(file.read(_MAGIC_BYTES))


def is_no_text(start: bytes) -> bool:
    """Tell from its first bytes whether a log must be unpacked, or worse, before it can be read."""
    return any(magic.match(start) for magic in (_GZIP, _ZSTD, *_OTHERS))


@contextmanager
def _unpacked(file: BufferedReader) -> Iterator[Readable]:
    """Look at the first bytes, not at the name, for how it is packed."""
    start = file.peek(_MAGIC_BYTES)
    if _GZIP.match(start):
        with gzip.GzipFile(fileobj=file) as text:
            yield _Gunzip(text)
    elif _ZSTD.match(start):
        with _unzstd(file) as text:
            yield text
    elif reader := next((reader for magic, reader in _OTHERS.items() if magic.match(start)), None):
        raise OSError(f"it is no text: `{reader}` makes one of it, which can be piped into `drive audit`")
    else:
        yield file


class _Gunzip:
    """What comes out of gzip: all that does before it finds fault."""

    def __init__(self, text: gzip.GzipFile) -> None:
        self._text = text
        self._fault: Exception | None = None

    def readinto(self, room: memoryview, /) -> int:
        done = 0
        while done < len(room) and self._fault is None:
            try:
                count = self._text.readinto1(room[done:])
            except (OSError, EOFError, zlib.error) as error:
                self._fault = error
            else:
                done += count
                if not count:
                    break
        if self._fault is not None and not done:
            raise self._fault
        return done


@contextmanager
def _unzstd(file: BinaryIO) -> Iterator[Readable]:
    """Let the program do it, beside us: unlike Python's package, it also tells when a file was cut."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(("zstd", "-dcq"), stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S607 - whichever is there
    except FileNotFoundError as error:
        raise OSError(
            "the program `zstd` reads it, and is not installed: apt install zstd, brew install zstd"
        ) from error
    with process:
        _widen(process)
        feeding = threading.Thread(target=_feed, args=(process, file))
        feeding.start()
        try:
            yield _Unzstd(process)
        finally:
            process.kill()
            feeding.join()


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let it unpack a block while the one before is searched, where the system allows a pipe to hold one."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with suppress(OSError, AttributeError):  # so many pipes have been widened already; or there is no such thing here
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _feed(process: subprocess.Popen[bytes], file: BinaryIO) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError), process.stdin:  # it has found fault, and says so itself
        copyfileobj(file, process.stdin, _BLOCK_BYTES)


class _Unzstd:
    """What comes out of `zstd`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def readinto(self, room: memoryview, /) -> int:
        assert self._process.stdout is not None  # noqa: S101 - pipes were asked for
        assert self._process.stderr is not None  # noqa: S101
        count = self._process.stdout.readinto(room)  # type: ignore[attr-defined]
        if not count and self._process.wait():
            raise OSError(self._process.stderr.read().decode(errors="replace").strip())
        return int(count)
