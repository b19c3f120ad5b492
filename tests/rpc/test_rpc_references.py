"""`proto.FileReferenceService`."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from rpc_support import Rpc, refused
from support.queries import CountingDatabase
from support.rows import Rows, add_files

from drive.proto import file_pb2 as wire

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest_asyncio.fixture(autouse=True)
async def files(rows: Rows) -> None:
    """Add file-1 to file-5."""
    await add_files(rows, 5)


def stamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


async def create(
    rpc: Rpc, file_id: str = "file-1", resource_id: str = "post:1", usage: str = "post", **more: Any
) -> Any:
    request = wire.CreateReferenceRequest(file_id=file_id, resource_id=resource_id, usage=usage, **more)
    return await rpc.references.CreateReference(request)


async def update(rpc: Rpc, *file_ids: str, usage: str = "post", **more: Any) -> Any:
    request = wire.UpdateResourceFilesRequest(resource_id="post:1", file_ids=file_ids, usage=usage, **more)
    return (await rpc.references.UpdateResourceFiles(request)).references


async def expire(rows: Rows, reference_id: str) -> None:
    await rows.execute(
        "update file_references set expired_at = now() - interval '1 s' where id = $1", UUID(reference_id)
    )


async def stored(rows: Rows) -> list[tuple[str, str, str]]:
    found = await rows.fetch("select resource_id, usage, file_id from file_references order by 1, 2, 3")
    return [tuple(row) for row in found]


def expiry_of(reference: Any) -> datetime | None:
    return reference.expired_at.ToDatetime(UTC) if reference.HasField("expired_at") else None


class TestCreating:
    """One file, or many."""

    async def test_a_reference_is_answered_with_all_but_its_file(self, rpc: Rpc) -> None:
        made = await create(rpc, expired_at=stamp(NOW + DAY))
        assert UUID(made.id)
        assert (made.file_id, made.usage, made.resource_id) == ("file-1", "post", "post:1")
        assert not made.HasField("file")
        assert expiry_of(made) == NOW + DAY
        (listed,) = (await rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1"))).references
        assert listed == made

    async def test_creating_again_renews_the_expiry_and_makes_no_second_one(self, rpc: Rpc, rows: Rows) -> None:
        first = await create(rpc, expired_at=stamp(NOW + DAY))
        later = await create(rpc, expired_at=stamp(NOW + 2 * DAY))
        never = await create(rpc)
        assert first.id == later.id == never.id
        assert (expiry_of(later), expiry_of(never)) == (NOW + 2 * DAY, None)
        assert len(await stored(rows)) == 1

    async def test_one_that_had_expired_is_there_again(self, rpc: Rpc, rows: Rows) -> None:
        made = await create(rpc)
        await expire(rows, made.id)
        request = wire.HasFileReferencesRequest(file_id="file-1")
        assert not (await rpc.references.HasFileReferences(request)).has_references
        await create(rpc)
        assert (await rpc.references.HasFileReferences(request)).has_references

    async def test_the_moment_wins_over_the_duration(self, rpc: Rpc) -> None:
        day = Duration(seconds=86_400)
        assert expiry_of(await create(rpc, expired_at=stamp(NOW + 5 * DAY), duration=day)) == NOW + 5 * DAY
        earliest = datetime.now(UTC) + DAY
        expiry = expiry_of(await create(rpc, duration=day))
        assert expiry is not None
        assert timedelta(seconds=-1) <= expiry - earliest < timedelta(minutes=5)

    async def test_each_usage_of_each_resource_is_a_reference_of_its_own(self, rpc: Rpc, rows: Rows) -> None:
        for resource_id, usage in [("a", ""), ("a", "post"), ("b", "post"), ("a" * 1024, "u" * 1024)]:
            await create(rpc, resource_id=resource_id, usage=usage)
        assert len(await stored(rows)) == 4

    async def test_a_batch_is_made_in_one_query_in_the_order_asked_for(
        self, rpc: Rpc, rows: Rows, database: CountingDatabase
    ) -> None:
        await create(rpc, "file-2")
        ids = ["file-3", "file-1", "file-3", "file-2"]
        request = wire.CreateReferenceBatchRequest(files_id=ids, usage="post", resource_id="post:1")
        with database.counted() as statements:
            made = (await rpc.references.CreateReferenceBatch(request)).references
        assert [one.file_id for one in made] == ["file-3", "file-1", "file-2"]
        assert len(statements) == 1
        assert len(await stored(rows)) == 3
        assert list((await rpc.references.CreateReferenceBatch(request)).references) == list(made)

    @pytest.mark.parametrize("unknown", [["absent"], ["\0"], ["absent", "file-5"], ["x" * 10_000]])
    async def test_unknown_files_are_named_and_nothing_is_written(
        self, rpc: Rpc, rows: Rows, unknown: list[str]
    ) -> None:
        await rows.execute("update files set deleted_at = now() where id = 'file-5'")
        request = wire.CreateReferenceBatchRequest(files_id=["file-1", *unknown], usage="post", resource_id="post:1")
        code, message = await refused(rpc.references.CreateReferenceBatch(request))
        assert code is StatusCode.NOT_FOUND
        assert all(repr(name[:40]) in message for name in unknown)
        assert "file-1" not in message
        assert await stored(rows) == []

    async def test_a_message_names_some_of_very_many(self, rpc: Rpc) -> None:
        ids = [f"absent-{number}" for number in range(1000)]
        request = wire.CreateReferenceBatchRequest(files_id=ids, usage="post", resource_id="post:1")
        _, message = await refused(rpc.references.CreateReferenceBatch(request))
        assert "'absent-9' and 990 more" in message
        assert len(message) < 500

    async def test_up_to_1000_files_fit(self, rpc: Rpc, rows: Rows) -> None:
        await rows.execute("delete from files")
        await rows.execute("delete from objects")
        await add_files(rows, 1001)
        ids = [f"file-{number}" for number in range(1, 1002)]
        request = wire.CreateReferenceBatchRequest(files_id=ids[:1000], usage="post", resource_id="post:1")
        assert len((await rpc.references.CreateReferenceBatch(request)).references) == 1000
        request = wire.CreateReferenceBatchRequest(files_id=ids, usage="post", resource_id="post:1")
        assert (await refused(rpc.references.CreateReferenceBatch(request)))[0] is StatusCode.INVALID_ARGUMENT
        assert (await refused(update(rpc, *ids)))[0] is StatusCode.INVALID_ARGUMENT
        empty = wire.CreateReferenceBatchRequest(usage="post", resource_id="post:1")
        assert list((await rpc.references.CreateReferenceBatch(empty)).references) == []

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"resource_id": ""}, "resource_id"),
            ({"resource_id": "x" * 1025}, "resource_id"),
            ({"resource_id": "é" * 513}, "resource_id"),
            ({"resource_id": "a\0b"}, "resource_id"),
            ({"usage": "x" * 1025}, "usage"),
            ({"usage": "\0"}, "usage"),
            ({"expired_at": stamp(NOW - DAY)}, "expired_at"),
            ({"expired_at": Timestamp(seconds=10**15)}, "expired_at"),
            ({"expired_at": Timestamp(nanos=-1)}, "expired_at"),
            ({"duration": Duration()}, "duration"),
            ({"duration": Duration(seconds=-5)}, "duration"),
            ({"duration": Duration(seconds=10**18)}, "duration"),
            ({"duration": Duration(seconds=300_000_000_000)}, "duration"),
        ],
    )
    async def test_what_is_wrong_is_named(self, rpc: Rpc, rows: Rows, fields: dict[str, Any], named: str) -> None:
        for call in (create(rpc, **fields), update(rpc, "file-1", **fields) if "resource_id" not in fields else None):
            if call is not None:
                code, message = await refused(call)
                assert code is StatusCode.INVALID_ARGUMENT
                assert message.startswith(f"{named}: ")
        assert await stored(rows) == []


class TestReading:
    """By file and by resource; an absent usage means all of them."""

    @pytest_asyncio.fixture(autouse=True)
    async def references(self, rpc: Rpc, rows: Rows, files: None) -> None:
        for file_id, usage in [("file-1", "picture"), ("file-2", "picture"), ("file-1", "background"), ("file-3", "")]:
            await create(rpc, file_id, "realm:1", usage)
        await create(rpc, "file-1", "realm:2", "picture")
        expired = await create(rpc, "file-4", "realm:1", "picture")
        await expire(rows, expired.id)

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ({}, ["file-1", "file-2", "file-3"]),
            ({"usage": "picture"}, ["file-1", "file-2"]),
            ({"usage": "background"}, ["file-1"]),
            ({"usage": ""}, ["file-3"]),
            ({"usage": "other"}, []),
        ],
    )
    async def test_the_files_of_a_resource_come_each_once_in_one_query(
        self, rpc: Rpc, database: CountingDatabase, usage: dict[str, str], expected: list[str]
    ) -> None:
        request = wire.GetResourceFilesRequest(resource_id="realm:1", **usage)
        await rpc.references.GetResourceFiles(request)  # a new connection looks types up
        with database.counted() as statements:
            files = (await rpc.references.GetResourceFiles(request)).files
        assert [file.id for file in files] == expected
        assert len(statements) == 1

    async def test_the_references_of_a_resource(self, rpc: Rpc, database: CountingDatabase) -> None:
        async def ask(**usage: str) -> list[tuple[str, str]]:
            request = wire.GetResourceReferencesRequest(resource_id="realm:1", **usage)
            answer = await rpc.references.GetResourceReferences(request)
            return [(one.file_id, one.usage) for one in answer.references]

        everything = [("file-1", "picture"), ("file-2", "picture"), ("file-1", "background"), ("file-3", "")]
        with database.counted() as statements:
            assert await ask() == everything
        assert len(statements) == 1
        assert await ask(usage="") == everything  # which the wire cannot tell from an absent one
        assert await ask(usage="picture") == everything[:2]

    async def test_the_references_of_a_file(self, rpc: Rpc, database: CountingDatabase) -> None:
        with database.counted() as statements:
            answer = await rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1"))
        assert [(one.resource_id, one.usage) for one in answer.references] == [
            ("realm:1", "picture"),
            ("realm:1", "background"),
            ("realm:2", "picture"),
        ]
        assert len(statements) == 1

    @pytest.mark.parametrize(
        ("file_id", "count"), [("file-1", 3), ("file-4", 0), ("file-5", 0), ("absent", 0), ("\0", 0)]
    )
    async def test_expired_references_and_those_of_unknown_files_are_none(
        self, rpc: Rpc, file_id: str, count: int
    ) -> None:
        counted = await rpc.references.GetReferenceCount(wire.GetReferenceCountRequest(file_id=file_id))
        has = await rpc.references.HasFileReferences(wire.HasFileReferencesRequest(file_id=file_id))
        is_referenced = await rpc.files.IsReferenced(wire.IsReferencedRequest(file_id=file_id))
        listed = await rpc.references.GetReferences(wire.GetReferencesRequest(file_id=file_id))
        assert (counted.count, len(listed.references)) == (count, count)
        assert has.has_references is is_referenced.is_referenced is (count > 0)

    async def test_a_deleted_file_leaves_its_resources(self, rpc: Rpc, rows: Rows) -> None:
        await rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1"))
        answer = await rpc.references.GetResourceFiles(wire.GetResourceFilesRequest(resource_id="realm:1"))
        assert [file.id for file in answer.files] == ["file-2", "file-3"]
        assert {file_id for _, _, file_id in await stored(rows)} == {"file-2", "file-3", "file-4"}


async def test_an_answer_holds_10_000_references_and_says_so_where_there_are_more(rpc: Rpc, rows: Rows) -> None:
    add = (
        "insert into file_references (file_id, usage, resource_id) "
        "select 'file-1', 'post', 'post:' || n from generate_series($1::int, $2) n"
    )
    await rows.execute(add, 1, 10_000)
    answer = await rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1"))
    assert len({one.id for one in answer.references}) == 10_000
    await rows.execute(add, 10_001, 10_001)
    code, message = await refused(rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1")))
    assert code is StatusCode.OUT_OF_RANGE
    assert "10001" in message
    counted = await rpc.references.GetReferenceCount(wire.GetReferenceCountRequest(file_id="file-1"))
    assert counted.count == 10_001
    moment = stamp(NOW + DAY)
    request = wire.SetFileReferencesExpirationRequest(file_id="file-1", expired_at=moment)
    assert (await rpc.references.SetFileReferencesExpiration(request)).updated_count == 10_001


async def test_a_resource_with_too_many_files_or_references_is_refused(rpc: Rpc, rows: Rows) -> None:
    await rows.execute("delete from files")
    await rows.execute("delete from objects")
    await add_files(rows, 1001)
    add = "insert into file_references (file_id, usage, resource_id) select id, $1, 'chat:1' from files where id <> $2"
    await rows.execute(add, "sticker", "file-1")
    request = wire.GetResourceFilesRequest(resource_id="chat:1")
    assert len((await rpc.references.GetResourceFiles(request)).files) == 1000
    await rows.execute(add, "picture", "file-2")
    assert (await refused(rpc.references.GetResourceFiles(request)))[0] is StatusCode.OUT_OF_RANGE
    for number in range(9):
        await rows.execute(add, f"usage {number}", "file-1")
    references = wire.GetResourceReferencesRequest(resource_id="chat:1")
    assert (await refused(rpc.references.GetResourceReferences(references)))[0] is StatusCode.OUT_OF_RANGE
    assert (
        len(
            (
                await rpc.references.GetResourceReferences(
                    wire.GetResourceReferencesRequest(resource_id="chat:1", usage="sticker")
                )
            ).references
        )
        == 1000
    )
    deletion = wire.DeleteResourceReferencesRequest(resource_id="chat:1")
    assert (await rpc.references.DeleteResourceReferences(deletion)).deleted_count == 11_000


class TestDeleting:
    """By id, or all of a resource; an absent usage means all of them."""

    @pytest_asyncio.fixture(autouse=True)
    async def references(self, rpc: Rpc, rows: Rows, files: None) -> None:
        for resource_id, usage in [("a", "post"), ("a", ""), ("a", "other"), ("b", "post"), ("c", "post")]:
            await create(rpc, "file-1", resource_id, usage)
        expired = await create(rpc, "file-2", "a", "post")
        await expire(rows, expired.id)

    @pytest.mark.parametrize(
        ("usage", "count", "left"),
        [({}, 3, []), ({"usage": "post"}, 1, ["", "other"]), ({"usage": ""}, 1, ["other", "post"])],
    )
    async def test_those_of_one_resource(
        self, rpc: Rpc, rows: Rows, database: CountingDatabase, usage: dict[str, str], count: int, left: list[str]
    ) -> None:
        """One that had expired is not counted: it was none."""
        request = wire.DeleteResourceReferencesRequest(resource_id="a", **usage)
        with database.counted() as statements:
            assert (await rpc.references.DeleteResourceReferences(request)).deleted_count == count
        assert len(statements) == 1
        found = [row for row in await stored(rows) if row[2] == "file-1"]
        assert [used for resource_id, used, _ in found if resource_id == "a"] == left
        assert len(found) == len(left) + 2
        assert (await rpc.references.DeleteResourceReferences(request)).deleted_count == 0

    async def test_those_of_many_resources(self, rpc: Rpc, rows: Rows, database: CountingDatabase) -> None:
        ids = ["a", "b", "absent", "a"]
        request = wire.DeleteResourceReferencesBatchRequest(resource_ids=ids, usage="post")
        with database.counted() as statements:
            assert (await rpc.references.DeleteResourceReferencesBatch(request)).deleted_count == 2
        assert len(statements) == 1
        request = wire.DeleteResourceReferencesBatchRequest(resource_ids=ids)
        assert (await rpc.references.DeleteResourceReferencesBatch(request)).deleted_count == 2
        assert await stored(rows) == [("c", "post", "file-1")]
        empty = wire.DeleteResourceReferencesBatchRequest()
        assert (await rpc.references.DeleteResourceReferencesBatch(empty)).deleted_count == 0
        many = wire.DeleteResourceReferencesBatchRequest(resource_ids=["x"] * 1001)
        assert (await refused(rpc.references.DeleteResourceReferencesBatch(many)))[0] is StatusCode.INVALID_ARGUMENT

    async def test_one_by_its_id(self, rpc: Rpc, rows: Rows) -> None:
        made = await create(rpc, "file-3")
        for expected in (True, False):
            answer = await rpc.references.DeleteReference(wire.DeleteReferenceRequest(reference_id=made.id))
            assert answer.success is expected
        absent = await rpc.references.DeleteReference(wire.DeleteReferenceRequest(reference_id=str(uuid4())))
        assert absent.success is False


class TestReplacing:
    """A resource is given exactly the files of a list."""

    async def test_what_is_missing_is_added_and_the_rest_removed(self, rpc: Rpc, rows: Rows) -> None:
        await create(rpc, "file-1", usage="other")
        first = await update(rpc, "file-1", "file-2", "file-3")
        second = await update(rpc, "file-4", "file-2", "file-4", expired_at=stamp(NOW + DAY))
        assert [(one.file_id, expiry_of(one)) for one in second] == [("file-4", NOW + DAY), ("file-2", None)]
        assert second[1].id == first[1].id
        assert await stored(rows) == [
            ("post:1", "other", "file-1"),
            ("post:1", "post", "file-2"),
            ("post:1", "post", "file-4"),
        ]

    async def test_it_takes_one_transaction(self, rpc: Rpc, database: CountingDatabase) -> None:
        await update(rpc, "file-1")
        with database.counted() as statements:
            await update(rpc, "file-1", "file-2")
        assert len(statements) == 4  # begin, lock, replace, commit

    async def test_an_empty_list_removes_all_of_this_usage(self, rpc: Rpc, rows: Rows) -> None:
        await update(rpc, "file-1", "file-2")
        await update(rpc, "file-3", usage="")
        assert list(await update(rpc)) == []
        assert await stored(rows) == [("post:1", "", "file-3")]

    async def test_one_that_had_expired_is_added_with_the_new_expiry(self, rpc: Rpc, rows: Rows) -> None:
        made = await create(rpc)
        await expire(rows, made.id)
        (again,) = await update(rpc, "file-1", expired_at=stamp(NOW + DAY))
        assert (again.id, expiry_of(again)) == (made.id, NOW + DAY)

    @pytest.mark.parametrize("unknown", ["absent", "\0", "file-5"])
    async def test_an_unknown_file_is_named_and_nothing_changed(self, rpc: Rpc, rows: Rows, unknown: str) -> None:
        await update(rpc, "file-1", "file-2")
        await rows.execute("update files set deleted_at = now() where id = 'file-5'")
        code, message = await refused(update(rpc, "file-3", unknown))
        assert code is StatusCode.NOT_FOUND
        assert repr(unknown) in message
        assert [file_id for _, _, file_id in await stored(rows)] == ["file-1", "file-2"]


class TestExpiring:
    """One reference, or all of a file."""

    async def set_one(self, rpc: Rpc, reference_id: str, **expiry: Any) -> bool:
        request = wire.SetReferenceExpirationRequest(reference_id=reference_id, **expiry)
        return (await rpc.references.SetReferenceExpiration(request)).success

    async def only(self, rpc: Rpc) -> Any:
        (found,) = (await rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1"))).references
        return found

    async def test_a_moment_a_duration_or_never(self, rpc: Rpc) -> None:
        made = await create(rpc)
        assert await self.set_one(rpc, made.id, expired_at=stamp(NOW + DAY), duration=Duration(seconds=5))
        assert expiry_of(await self.only(rpc)) == NOW + DAY
        assert await self.set_one(rpc, made.id, duration=Duration(seconds=172_800))
        assert (expiry_of(await self.only(rpc)) or NOW) >= NOW + 2 * DAY
        assert await self.set_one(rpc, made.id)
        assert expiry_of(await self.only(rpc)) is None

    async def test_a_moment_in_the_past_ends_it_and_it_stays_so(self, rpc: Rpc) -> None:
        made = await create(rpc)
        assert await self.set_one(rpc, made.id, expired_at=stamp(NOW - DAY))
        counted = await rpc.references.GetReferenceCount(wire.GetReferenceCountRequest(file_id="file-1"))
        assert counted.count == 0
        assert not await self.set_one(rpc, made.id)
        assert not await self.set_one(rpc, str(uuid4()))

    async def test_all_references_of_a_file(self, rpc: Rpc, rows: Rows) -> None:
        for resource_id in ("a", "b"):
            await create(rpc, resource_id=resource_id)
        await expire(rows, (await create(rpc, resource_id="c")).id)
        await create(rpc, "file-2")
        request = wire.SetFileReferencesExpirationRequest(file_id="file-1", expired_at=stamp(NOW + DAY))
        assert (await rpc.references.SetFileReferencesExpiration(request)).updated_count == 2
        unknown = wire.SetFileReferencesExpirationRequest(file_id="\0", expired_at=stamp(NOW + DAY))
        assert (await rpc.references.SetFileReferencesExpiration(unknown)).updated_count == 0
        missing = wire.SetFileReferencesExpirationRequest(file_id="file-1")
        code, message = await refused(rpc.references.SetFileReferencesExpiration(missing))
        assert (code, message) == (StatusCode.INVALID_ARGUMENT, "expired_at: is missing.")


@pytest.mark.parametrize("reference_id", ["", "1", "\0", "x" * 10_000, "00000000-0000-0000-0000-00000000000g"])
async def test_an_id_that_is_no_uuid_is_refused(rpc: Rpc, reference_id: str) -> None:
    for call in (
        rpc.references.DeleteReference(wire.DeleteReferenceRequest(reference_id=reference_id)),
        rpc.references.SetReferenceExpiration(wire.SetReferenceExpirationRequest(reference_id=reference_id)),
    ):
        assert await refused(call) == (StatusCode.INVALID_ARGUMENT, "reference_id: must be a UUID.")


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetResourceReferences", wire.GetResourceReferencesRequest),
        ("GetResourceFiles", wire.GetResourceFilesRequest),
        ("DeleteResourceReferences", wire.DeleteResourceReferencesRequest),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"resource_id": "\0"}, {"resource_id": "x" * 10_000}, {"usage": "\0"}])
async def test_a_resource_that_cannot_be_is_refused(
    rpc: Rpc, method: str, request_type: Callable[..., Message], fields: dict[str, str]
) -> None:
    request = request_type(**({"resource_id": "post:1"} | fields if fields else {}))
    call: Awaitable[object] = getattr(rpc.references, method)(request)
    assert (await refused(call))[0] is StatusCode.INVALID_ARGUMENT
