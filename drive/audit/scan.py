"""The lines that can be events, out of any number of bytes."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

from drive.audit.events import NEEDLES

BLOCK_BYTES = 512 * 1024
LINE_MAX_BYTES = 1024 * 1024
"""A longer line is cut: what follows is skipped up to the next line."""

# Of all that can be called without compiling anything, strstr is the fastest by far: ten times bytes.find on processors
# with AVX, without the GIL, so that threads scan on all processors. It stops at a NUL, which logs hardly ever have.
_strstr = ctypes.CDLL(None).strstr
_strstr.restype = ctypes.c_void_p
_strstr.argtypes = (ctypes.c_void_p, ctypes.c_char_p)


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that can be an event."""

    position: int
    """Of its first byte in the input."""
    number: int | None
    """Of the line, from 1; None where lines are not counted."""
    line: bytes


class Scanner:
    """Finds hits in bytes that come in pieces. Holds one block and at most one line.

    The next piece is written into `room()`, and `advance` told how much of it there is.
    """

    def __init__(self, *, position: int = 0, counts_lines: bool = False) -> None:
        self._buffer = bytearray(LINE_MAX_BYTES + BLOCK_BYTES + 1)
        self._view = memoryview(self._buffer)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._held = 0  # bytes of a line that is not complete, at the buffer's start
        self._position = position  # of the buffer's start in the input
        self._lines = 0  # before that
        self._counts_lines = counts_lines
        self._skips = False  # the rest of a line that was cut

    @property
    def position(self) -> int:
        """How many bytes of the input have been given."""
        return self._position + self._held

    def room(self) -> memoryview:
        """Return where the next piece goes."""
        return self._view[self._held : self._held + BLOCK_BYTES]

    def advance(self, count: int) -> list[Hit]:
        """Return the hits among the lines that are complete now that so many bytes were written."""
        end = self._held + count
        if self._skips:
            return self._skip_to_next_line(end)
        complete = self._buffer.rfind(b"\n", self._held, end) + 1
        hits = self._take(complete, end) if complete else []
        self._held = end - complete
        if self._held >= LINE_MAX_BYTES:
            hits += self.finish()
            self._skips = True
        return hits

    def finish(self) -> list[Hit]:
        """Return the last line, where it can be an event and no newline ends it."""
        return self._take(self._held, self._held)

    def _take(self, complete: int, end: int) -> list[Hit]:
        """Scan the buffer's first lines, and move what follows them to its start."""
        hits = list(self._hits(complete))
        if self._counts_lines:
            self._lines += self._buffer.count(b"\n", 0, complete)
        self._view[: end - complete] = self._view[complete:end]
        self._position += complete
        self._held = end - complete
        return hits

    def _skip_to_next_line(self, end: int) -> list[Hit]:
        start = self._buffer.find(b"\n", 0, end) + 1
        self._skips = start == 0
        self._take_unseen(start or end)
        rest = end - (start or end)
        self._view[:rest] = self._view[end - rest : end]
        return self.advance(rest) if rest else []

    def _take_unseen(self, count: int) -> None:
        self._position += count
        self._lines += not self._skips
        self._held = 0

    def _hits(self, end: int) -> Iterator[Hit]:
        done, number = 0, self._lines + 1
        for position in self._positions(end):
            if position < done:
                continue  # the line has two of them
            start = max(self._buffer.rfind(b"\n", done, position) + 1, done)
            if self._counts_lines:
                number += self._buffer.count(b"\n", done, start)
            stop = self._buffer.find(b"\n", position, end)
            done = end if stop < 0 else stop
            line = bytes(self._view[start:done])
            yield Hit(self._position + start, number if self._counts_lines else None, line)

    def _positions(self, end: int) -> list[int]:
        find = self._find if self._buffer.find(0, 0, end) >= 0 else self._find_fast
        return sorted(position for needle in NEEDLES for position in find(needle, end))

    def _find(self, needle: bytes, end: int) -> Iterator[int]:
        position = self._buffer.find(needle, 0, end)
        while position >= 0:
            yield position
            position = self._buffer.find(needle, position + len(needle), end)

    def _find_fast(self, needle: bytes, end: int) -> Iterator[int]:
        """Search what has no NUL, with one put behind its end."""
        behind, self._buffer[end] = self._buffer[end], 0
        start = self._address
        while found := _strstr(start, needle):
            yield found - self._address
            start = found + len(needle)
        self._buffer[end] = behind
