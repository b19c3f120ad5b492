"""Hashes of uploads that come in order."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from drive.storage.interfaces import Content
from drive.uploads.hashes import RunningHashes

CHUNKS = [b"first", b"second", b"third"]
WHOLE = Content(hashlib.sha256(b"".join(CHUNKS)).digest(), 16)


def receive(hashes: RunningHashes, index: int, data: bytes, *, breaks_off: bool = False) -> None:
    """Do what receiving a chunk does: it counts once it is whole."""
    hasher = hashes.continued("task", index)
    if hasher is not None:
        hasher.update(data[:2] if breaks_off else data)
    if not breaks_off:
        hashes.keep("task", index, hasher)


@given(
    st.permutations(range(3)), st.lists(st.booleans(), min_size=3, max_size=3), st.sets(st.integers(0, 2), max_size=3)
)
def test_the_hash_is_right_or_not_known(order: list[int], breaks_off: list[bool], elsewhere: set[int]) -> None:
    """Whatever order chunks come in, whichever break off at first or are received by another replica."""
    hashes = RunningHashes()
    for index in order:
        if index in elsewhere:
            continue
        if breaks_off[index]:
            receive(hashes, index, CHUNKS[index], breaks_off=True)
        receive(hashes, index, CHUNKS[index])
    expected = WHOLE if order == [0, 1, 2] and not elsewhere else None
    assert hashes.finished("task", 3, 16) == expected


def test_an_upload_that_has_ended_is_forgotten() -> None:
    hashes = RunningHashes()
    receive(hashes, 0, b"x")
    assert hashes.finished("task", 1, 1) is not None
    hashes.forget("task")
    hashes.forget("task")
    assert hashes.finished("task", 1, 1) is None


def test_only_so_many_uploads_are_remembered() -> None:
    """Those that are left out are read again when they are completed."""
    hashes = RunningHashes()
    for n in range(1100):
        hashes.keep(f"task-{n}", 0, hashes.continued(f"task-{n}", 0))
    remembered = [n for n in range(1100) if hashes.finished(f"task-{n}", 1, 0)]
    assert remembered == list(range(100, 1100))
