"""Hashes of uploads that come in order."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from drive.storage.interfaces import Content
from drive.uploads.hashes import RunningHashes

STRETCHES = [b"first", b"second", b"third"]
WHOLE = b"".join(STRETCHES)
CONTENT = Content(hashlib.sha256(WHOLE).digest(), len(WHOLE))


def receive(hashes: RunningHashes, index: int, *, breaks_off: bool = False) -> None:
    """Do what receiving some bytes does: they count once they are all there."""
    offset, data = len(b"".join(STRETCHES[:index])), STRETCHES[index]
    hasher = hashes.continued("task", offset)
    if hasher is not None:
        hasher.update(data[:2] if breaks_off else data)
    if not breaks_off:
        hashes.keep("task", offset + len(data), hasher)


@given(
    st.permutations(range(3)), st.lists(st.booleans(), min_size=3, max_size=3), st.sets(st.integers(0, 2), max_size=3)
)
def test_the_hash_is_right_or_not_known(order: list[int], breaks_off: list[bool], elsewhere: set[int]) -> None:
    """Whatever order they come in, whichever break off at first or are received by another replica."""
    hashes = RunningHashes()
    for index in order:
        if index in elsewhere:
            continue
        if breaks_off[index]:
            receive(hashes, index, breaks_off=True)
        receive(hashes, index)
    expected = CONTENT if order == [0, 1, 2] and not elsewhere else None
    assert hashes.finished("task", len(WHOLE)) == expected


def test_an_upload_that_has_ended_is_forgotten() -> None:
    hashes = RunningHashes()
    receive(hashes, 0)
    assert hashes.finished("task", 5) is not None
    hashes.forget("task")
    hashes.forget("task")
    assert hashes.finished("task", 5) is None


def test_only_so_many_uploads_are_remembered() -> None:
    """Those that are left out are read again when they are completed."""
    hashes = RunningHashes()
    for n in range(1100):
        hashes.keep(f"task-{n}", 1, hashes.continued(f"task-{n}", 0))
    remembered = [n for n in range(1100) if hashes.finished(f"task-{n}", 1)]
    assert remembered == list(range(100, 1100))
