"""What every store promises, shown with the local one."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from storage_support import CONTENT, Staged, body_of, content_of, open_files, promote, write

from drive.storage.interfaces import BodyTooLongError, Content, Store, StoreBusyError
from drive.storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "storage")


def test_it_is_a_store_and_building_it_touches_nothing(store: LocalStore, tmp_path: Path) -> None:
    typed: Store = store
    assert typed is store
    assert list(tmp_path.iterdir()) == []


async def test_what_is_staged_can_be_read_once_it_is_promoted(store: LocalStore) -> None:
    assert await write(store, "object", CONTENT) == len(CONTENT)
    assert await store.staged() == ["object"]
    assert not store.path("object").exists()

    assert await promote(store, CONTENT) == content_of(CONTENT)
    assert store.path("object").read_bytes() == CONTENT
    assert await store.staged() == []


async def test_nobody_else_on_the_machine_can_read_it(store: LocalStore) -> None:
    await write(store, "object", CONTENT)
    await promote(store, CONTENT)
    assert store.path("object").stat().st_mode & 0o777 == 0o600
    assert store.path("object").parent.stat().st_mode & 0o777 == 0o700


async def test_parts_are_written_in_any_order(store: LocalStore) -> None:
    for offset in (8, 0, 4):
        await write(store, "object", CONTENT[offset : offset + 4], offset=offset)
    await promote(store, CONTENT)
    assert store.path("object").read_bytes() == CONTENT


@pytest.mark.parametrize("pieces", [[b""], [b"0123", b"", b"456789"], [bytes([n]) for n in CONTENT]])
async def test_a_body_comes_in_pieces_of_any_size_and_is_hashed_on_the_way(
    store: LocalStore, pieces: list[bytes]
) -> None:
    hasher = hashlib.sha256()
    async with store.part(Staged(), offset=0, most_bytes=100) as part:
        size_bytes = await part.write(body_of(*pieces), hasher)
    assert Content(hasher.digest(), size_bytes) == content_of(b"".join(pieces))


async def test_large_pieces_are_written_before_all_have_come(store: LocalStore, tmp_path: Path) -> None:
    """Memory stays small, however much is sent."""
    piece = b"x" * 700_000

    async def body() -> AsyncIterator[bytes]:
        for n in range(10):
            yield piece
            written = (tmp_path / "storage/staging/object").stat().st_size
            assert written >= (n - 4) * len(piece), "of what came, a thread may have a lot in hand, and one may wait"

    async with store.part(Staged(), offset=0, most_bytes=10**9) as part:
        assert await part.write(body()) == 10 * len(piece)


async def test_a_body_that_is_too_long_leaves_what_follows_alone(store: LocalStore) -> None:
    await write(store, "object", b"456789", offset=4)
    async with store.part(Staged(), offset=0, most_bytes=4) as part:
        with pytest.raises(BodyTooLongError):
            await part.write(body_of(b"01", b"23", b"x" * 3_000_000))
    await write(store, "object", b"0123")
    await promote(store, CONTENT)
    assert store.path("object").read_bytes() == CONTENT


async def test_what_breaks_off_can_be_written_again(store: LocalStore, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError

    large = CONTENT * 300_000
    async with store.part(Staged(), offset=0, most_bytes=len(large)) as part:
        with pytest.raises(ConnectionResetError):
            await part.write(breaking())
    assert open_files(tmp_path) == []
    await write(store, "object", large)
    assert await promote(store, large) == content_of(large)


@pytest.mark.parametrize(
    ("first", "second", "is_busy"),
    [((0, 4), (0, 4), True), ((0, 4), (3, 4), True), ((0, 4), (4, 4), False), ((4, 4), (0, 4), False)],
)
async def test_a_part_is_for_one_at_a_time(
    store: LocalStore, first: tuple[int, int], second: tuple[int, int], *, is_busy: bool
) -> None:
    """Within one process as between two; a neighbour may be written meanwhile."""
    others = LocalStore(store.path("x").parents[2])
    for other in (store, others):
        async with store.part(Staged(), offset=first[0], most_bytes=first[1]):
            if is_busy:
                with pytest.raises(StoreBusyError):
                    await write(other, "object", b"abcd", offset=second[0])
            else:
                await write(other, "object", b"abcd", offset=second[0])
        await write(other, "object", b"abcd", offset=second[0])


async def test_an_upload_that_is_being_written_cannot_be_promoted(store: LocalStore) -> None:
    await write(store, "object", CONTENT)
    async with store.part(Staged(), offset=4, most_bytes=4):
        with pytest.raises(StoreBusyError):
            await promote(store, CONTENT)
    assert await store.staged() == ["object"]
    await promote(store, CONTENT)


async def test_what_is_known_of_the_content_is_not_read_again(store: LocalStore) -> None:
    await write(store, "object", CONTENT)
    known = Content(b"k" * 32, len(CONTENT))
    assert await store.promote(Staged(), tags=[], known=known) is known


async def test_promoting_again_finds_what_was_promoted(store: LocalStore) -> None:
    """As after a crash; what a late chunk has staged since does not matter."""
    await write(store, "object", CONTENT)
    await promote(store, CONTENT)
    assert await promote(store, CONTENT) == content_of(CONTENT)
    await write(store, "object", b"rubbish...")
    assert await promote(store, CONTENT) == content_of(CONTENT)
    assert store.path("object").read_bytes() == CONTENT


@pytest.mark.parametrize("staged_bytes", [None, b"", CONTENT[:-1], CONTENT + b"x"])
async def test_an_upload_whose_bytes_are_not_all_there_cannot_be_promoted(
    store: LocalStore, staged_bytes: bytes | None
) -> None:
    if staged_bytes is not None:
        await write(store, "object", staged_bytes)
    with pytest.raises(FileNotFoundError):
        await promote(store, CONTENT)
    assert not store.path("object").exists()


async def test_an_empty_upload_becomes_an_empty_object(store: LocalStore) -> None:
    """It has no part that anybody would have written."""
    for _ in range(2):
        assert await promote(store, b"") == content_of(b"")
    assert store.path("object").read_bytes() == b""
    assert await store.staged() == []


async def test_what_is_discarded_or_deleted_is_gone_and_may_be_absent(store: LocalStore) -> None:
    for _ in range(2):
        await store.discard("object")
        await store.delete("object")
    await write(store, "object", CONTENT)
    await promote(store, CONTENT)
    for _ in range(2):
        await store.discard("object")
        await store.delete("object")
    assert await store.staged() == []
    assert not store.path("object").exists()


async def test_an_upload_that_is_discarded_while_it_is_written_stays_gone(store: LocalStore) -> None:
    async with store.part(Staged(), offset=0, most_bytes=10) as part:
        await store.discard("object")
        assert await part.write(body_of(CONTENT)) == len(CONTENT)
    assert await store.staged() == []
    with pytest.raises(FileNotFoundError):
        await promote(store, CONTENT)


async def test_what_is_staged_are_uploads_only(store: LocalStore, tmp_path: Path) -> None:
    assert await store.staged() == []
    for n in range(3):
        await write(store, f"upload-{n}", CONTENT)
    (tmp_path / "storage/staging/lost+found").mkdir()
    assert sorted(await store.staged()) == ["upload-0", "upload-1", "upload-2"]


async def test_nothing_stays_open(store: LocalStore, tmp_path: Path) -> None:
    await write(store, "object", CONTENT)
    await promote(store, CONTENT)
    await store.delete("object")
    with pytest.raises(FileNotFoundError):
        await promote(store, CONTENT)
    assert open_files(tmp_path) == []
