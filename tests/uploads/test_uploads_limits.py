"""Sizes of chunks, for whatever is asked."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive.errors import Code, DriveError
from drive.uploads.interfaces import Task, TaskStatus
from drive.uploads.limits import Limits

MIB = 1024 * 1024
sizes = st.integers(1, 2**40)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Give any limits that the settings allow."""
    return Limits(
        file_bytes=draw(sizes),
        direct_bytes=draw(sizes),
        chunk_bytes=draw(sizes),
        chunk_max_bytes=draw(sizes),
        chunks_max=draw(st.integers(1, 10**6)),
        lifetime_s=draw(st.integers(1, 10**9)),
    )


def fitted(limits: Limits, file_bytes: int, asked_bytes: int | None) -> int | DriveError:
    try:
        limits.check(file_bytes, asked_bytes)
        return limits.chunk_size(file_bytes, asked_bytes)
    except DriveError as error:
        return error


@given(limits(), st.integers(0, 2**64), st.none() | st.integers(1, 2**64))
def test_a_chunk_size_is_within_its_limits_and_makes_few_enough_chunks(
    limits: Limits, file_bytes: int, asked_bytes: int | None
) -> None:
    """And it is what was asked for, wherever that is possible."""
    chunk_bytes = fitted(limits, file_bytes, asked_bytes)
    if isinstance(chunk_bytes, DriveError):
        assert chunk_bytes.code is Code.TOO_LARGE
        assert file_bytes > min(limits.file_bytes, limits.chunk_max_bytes * limits.chunks_max)
        return
    assert file_bytes <= limits.file_bytes
    assert 1 <= chunk_bytes <= limits.chunk_max_bytes
    chunks_count = -(-file_bytes // chunk_bytes)
    assert chunks_count <= limits.chunks_max
    asked_bytes = asked_bytes or limits.chunk_bytes
    if asked_bytes <= limits.chunk_max_bytes and asked_bytes * limits.chunks_max >= file_bytes:
        assert chunk_bytes == asked_bytes


@given(limits(), st.integers(0, 2**40), st.none() | st.integers(1, 2**64), sizes)
def test_a_store_is_given_chunks_as_long_as_it_needs(
    limits: Limits, file_bytes: int, asked_bytes: int | None, least_bytes: int
) -> None:
    assert limits.chunk_size(file_bytes, asked_bytes, least_bytes=least_bytes) >= least_bytes


@given(limits(), st.integers(max_value=-1))
def test_a_size_is_never_negative(limits: Limits, size: int) -> None:
    with pytest.raises(DriveError, match="file_size: must be 0 or more bytes"):
        limits.check(size, None)


@given(limits(), st.integers(0, 2**64), st.integers(max_value=0))
def test_a_chunk_has_at_least_a_byte(limits: Limits, file_bytes: int, asked_bytes: int) -> None:
    with pytest.raises(DriveError, match="chunk_size: must be 1 or more bytes"):
        limits.check(file_bytes, asked_bytes)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_chunks_of_an_upload_add_up_to_its_size(size_bytes: int, chunk_bytes: int) -> None:
    task = Task(
        id="task",
        account_id=UUID(int=1),
        status=TaskStatus.IN_PROGRESS,
        file_id="file",
        object_id="object",
        file_name="name",
        content_type="a/b",
        size_bytes=size_bytes,
        chunk_size_bytes=chunk_bytes,
        chunks_count=-(-size_bytes // chunk_bytes),
        sha256=None,
        pool_id=UUID(int=1),
        last_activity_at=datetime.now(UTC),
        expires_at=datetime.now(UTC),
        tus_offset_bytes=None,
        tus_metadata=None,
    )
    sizes = [task.chunk_bytes(index) for index in range(task.chunks_count)]
    assert sum(sizes) == size_bytes
    assert all(size == chunk_bytes for size in sizes[:-1])
    assert all(1 <= size <= chunk_bytes for size in sizes)
