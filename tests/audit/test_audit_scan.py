"""Hits out of bytes that come in pieces."""

from collections.abc import Iterator
from itertools import pairwise
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive.audit.events import _BY_NAME, NEEDLES
from drive.audit.inputs import line_numbers
from drive.audit.scan import BLOCK_BYTES, LINE_MAX_BYTES, Hit, Scanner

PIECES = st.sampled_from(
    [*NEEDLES, b"\n", b"\n\n", b"\0", b"gRPC ", b"Listen", b"a line of another\n", b"\xff", b"ing"]
)
LOGS = st.lists(PIECES, max_size=60).map(b"".join)


def scanned(pieces: Iterator[bytes] | list[bytes], scanner: Scanner | None = None) -> list[Hit]:
    scanner = scanner or Scanner(counts_lines=True)
    hits = []
    for piece in pieces:
        scanner.room()[: len(piece)] = piece
        hits += scanner.advance(len(piece))
    return hits + scanner.finish()


def expected(log: bytes) -> list[Hit]:
    hits, position = [], 0
    for number, line in enumerate(log.split(b"\n"), 1):
        if any(needle in line for needle in NEEDLES):
            hits.append(Hit(position, number, line))
        position += len(line) + 1
    return hits


@given(LOGS, st.lists(st.integers(0, 600)))
@settings(max_examples=300)
def test_each_line_with_a_needle_is_found_once_however_the_bytes_come(log: bytes, cuts: list[int]) -> None:
    ends = sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})
    assert scanned([log[start:end] for start, end in pairwise(ends)]) == expected(log)


@given(LOGS)
def test_line_numbers_can_be_counted_later(log: bytes) -> None:
    hits = expected(log)
    with NamedTemporaryFile() as file:
        file.write(log)
        file.flush()
        assert line_numbers(file.name, [hit.position for hit in hits]) == {hit.position: hit.number for hit in hits}


def blocks(log: bytes) -> list[bytes]:
    return [log[start : start + BLOCK_BYTES] for start in range(0, len(log), BLOCK_BYTES)]


@pytest.mark.parametrize("length", [LINE_MAX_BYTES - 1, LINE_MAX_BYTES, LINE_MAX_BYTES + 1, 3 * LINE_MAX_BYTES + 7])
@pytest.mark.parametrize("filler", [b"x", b"\0"])
def test_a_line_that_is_too_long_is_cut_and_the_next_is_whole(length: int, filler: bytes) -> None:
    log = b"Working\n" + filler * length + b"Listening\nStopping\n"
    hits = scanned(blocks(log))
    assert (hits[0], hits[-1]) == (Hit(0, 1, b"Working"), Hit(len(log) - 9, 3, b"Stopping"))
    assert all(len(hit.line) <= LINE_MAX_BYTES + BLOCK_BYTES for hit in hits)
    if length > 2 * LINE_MAX_BYTES:
        assert len(hits) == 2  # what stands behind the cut is not seen


def test_a_needle_across_two_blocks_is_found() -> None:
    for before in range(len(NEEDLES[0]) + 1):
        log = b"\n" * (BLOCK_BYTES - before) + NEEDLES[0] + b"\n"
        assert [hit.line for hit in scanned(blocks(log))] == [NEEDLES[0]]


def test_a_position_counts_from_where_the_part_begins() -> None:
    assert scanned([b"\nWorking\n"], Scanner(position=100)) == [Hit(101, None, b"Working")]


def test_the_scanner_holds_no_more_than_a_line_and_a_block() -> None:
    scanner = Scanner()
    for _ in range(64):
        scanner.room()[:] = b"x" * BLOCK_BYTES
        scanner.advance(BLOCK_BYTES)
    assert len(scanner._buffer) == LINE_MAX_BYTES + BLOCK_BYTES + 1
    assert scanner.position == 64 * BLOCK_BYTES


def test_every_needle_is_part_of_an_event_only() -> None:
    """The names of the events and the needles fit each other: none is searched for in vain, none is missed."""
    assert all(any(needle in name.encode() for needle in NEEDLES) for name in _BY_NAME)
    assert all(any(needle in name.encode() for name in _BY_NAME) for needle in NEEDLES)
