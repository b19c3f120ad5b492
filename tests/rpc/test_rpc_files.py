"""`proto.FileService`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from rpc_support import Rpc, refused
from support.queries import CountingDatabase
from support.rows import POOL_ID, Rows, add_files, wrong_counts

from drive.proto import file_pb2 as wire

STRANGE_IDS = [
    "",
    "absent",
    "\0",
    "file-1\0",
    "x" * 10_000,
    "../file-1",
    "file:1",
    "'; drop table files; --",
    "ファイル",
]


@pytest_asyncio.fixture
async def files(rows: Rows) -> AsyncIterator[None]:
    """Add file-1 to file-3."""
    await add_files(rows, 3)
    yield


async def delete(rows: Rows, file_id: str) -> None:
    await rows.execute("update files set deleted_at = now() where id = $1", file_id)


async def change(rpc: Rpc, paths: list[str], **fields: Any) -> wire.CloudFile:
    file = wire.CloudFile(**{"id": "file-1"} | fields)
    return await rpc.files.UpdateFile(wire.UpdateFileRequest(file=file, update_mask=FieldMask(paths=paths)))


async def test_a_file_is_answered_with_all_that_the_wire_has_of_it(rpc: Rpc, rows: Rows, files: None) -> None:
    uploaded_at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    await rows.execute(
        "update objects set variants = '{\"compressed\": {}}', file_meta = $1 where id = 'object-2'",
        {"width": 640, "height": 480, "blur": "LKO2", "exif": {"größe": 1.5}},
    )
    await rows.execute(
        "update files set user_meta = $1, sensitive_marks = '{1,4}', storage_url = 'https://cdn.test/2', "
        "uploaded_at = $2 where id = 'file-2'",
        {"album": "été"},
        uploaded_at,
    )
    file = await rpc.files.GetFile(wire.GetFileRequest(id="file-2"))
    assert (file.id, file.name, file.size, file.url) == ("file-2", "file 2", 2, "https://cdn.test/2")
    assert (file.mime_type, file.content_type, file.has_compression) == ("text/plain", "text/plain", True)
    assert file.hash == "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
    assert json.loads(file.file_meta)["exif"] == {"größe": 1.5}
    assert json.loads(file.user_meta) == {"album": "été"}
    assert json.loads(file.sensitive_marks) == [1, 4]
    assert (file.width, file.height, file.blurhash) == (640, 480, "LKO2")
    assert file.uploaded_at.ToDatetime(UTC) == uploaded_at


async def test_what_a_file_does_not_have_is_null_or_absent(rpc: Rpc, files: None) -> None:
    file = await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    assert (file.file_meta, file.user_meta, file.sensitive_marks, file.url) == (b"null", b"null", b"null", "")
    assert not any(file.HasField(name) for name in ("width", "height", "blurhash", "uploaded_at"))


@pytest.mark.parametrize(
    "meta", [{"width": "640"}, {"width": -1}, {"width": 2**31}, {"width": True}, {"blur": 1}, [1], 7]
)
async def test_sizes_that_the_wire_cannot_carry_are_left_out(rpc: Rpc, rows: Rows, files: None, meta: Any) -> None:
    """What was read out of a file can be anything, and must not keep the file from being answered."""
    await rows.execute("update objects set file_meta = $1 where id = 'object-1'", meta)
    file = await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    assert not any(file.HasField(name) for name in ("width", "height", "blurhash"))


@pytest.mark.parametrize("file_id", STRANGE_IDS)
async def test_a_strange_id_is_that_of_no_file(rpc: Rpc, files: None, file_id: str) -> None:
    calls: list[Awaitable[object]] = [
        rpc.files.GetFile(wire.GetFileRequest(id=file_id)),
        rpc.files.DeleteFile(wire.DeleteFileRequest(id=file_id)),
        rpc.files.PurgeCache(wire.PurgeCacheRequest(file_id=file_id)),
        change(rpc, ["name"], id=file_id, name="new"),
    ]
    for call in calls:
        assert (await refused(call))[0] is StatusCode.NOT_FOUND
    assert not (await rpc.files.IsReferenced(wire.IsReferencedRequest(file_id=file_id))).is_referenced
    assert list((await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=[file_id]))).files) == []


async def test_recycled_and_expired_files_are_answered_and_deleted_ones_not(rpc: Rpc, rows: Rows, files: None) -> None:
    await rows.execute("update files set is_marked_recycle = true where id = 'file-1'")
    await rows.execute("update files set expired_at = now() - interval '1 day' where id = 'file-2'")
    await delete(rows, "file-3")
    ids = ["file-1", "file-2", "file-3"]
    batch = await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=ids))
    assert [file.id for file in batch.files] == ["file-1", "file-2"]
    assert (await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-3"))))[0] is StatusCode.NOT_FOUND
    assert (await refused(rpc.files.PurgeCache(wire.PurgeCacheRequest(file_id="file-3"))))[0] is StatusCode.NOT_FOUND


async def test_a_batch_keeps_order_and_repetitions_in_one_query(
    rpc: Rpc, database: CountingDatabase, files: None
) -> None:
    ids = ["file-3", "absent", "file-1", "file-3", "\0"]
    await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    with database.counted() as statements:
        batch = await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=ids))
    assert [file.id for file in batch.files] == ["file-3", "file-1", "file-3"]
    assert len(statements) == 1
    loaded = await rpc.files.LoadFromReference(wire.LoadFromReferenceRequest(reference_ids=ids))
    assert list(loaded.files) == list(batch.files)
    with database.counted() as statements:
        assert list((await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=[]))).files) == []
    assert statements == []


async def test_a_batch_has_at_most_1000_ids(rpc: Rpc, files: None) -> None:
    batch = await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=["file-1"] * 1000))
    assert len(batch.files) == 1000
    code, message = await refused(rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=["file-1"] * 1001)))
    assert code is StatusCode.INVALID_ARGUMENT
    assert "1000" in message


async def test_update_changes_what_the_mask_names_and_nothing_else(
    rpc: Rpc, rows: Rows, database: CountingDatabase, files: None
) -> None:
    await rows.execute("update files set user_meta = '{\"a\": 1}', sensitive_marks = '{3}' where id = 'file-1'")
    await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    with database.counted() as statements:
        renamed = await change(rpc, ["name"], name="e\u0301te\u0301.txt", user_meta=b'{"b": 2}', size=99)
    assert len(statements) == 1
    assert (renamed.name, renamed.user_meta, renamed.sensitive_marks) == ("été.txt", b'{"a": 1}', b"[3]")
    both = await change(
        rpc, ["user_meta", "sensitive_marks", "user_meta"], user_meta=b'{"b": 2}', sensitive_marks=b"[4,1,4]"
    )
    assert (both.name, both.user_meta, both.sensitive_marks) == ("été.txt", b'{"b": 2}', b"[1,4]")
    assert both == await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    cleared = await change(rpc, ["user_meta", "sensitive_marks"])
    assert (cleared.user_meta, cleared.sensitive_marks) == (b"null", b"null")
    assert (await rpc.files.GetFile(wire.GetFileRequest(id="file-2"))).name == "file 2"


@pytest.mark.parametrize(
    ("paths", "fields", "named"),
    [
        ([], {"name": "new"}, "update_mask"),
        (["description"], {}, "description"),
        (["is_marked_recycle"], {}, "is_marked_recycle"),
        (["name", "file_meta"], {"name": "new"}, "file_meta"),
        (["hash"], {"hash": "00"}, "hash"),
        (["size"], {"size": 1}, "size"),
        (["id"], {}, "id"),
        (["*"], {"name": "new"}, "*"),
        (["name.x"], {"name": "new"}, "name.x"),
        (["x" * 10_000], {}, "update_mask"),
        (["name"], {"name": ""}, "file.name"),
        (["name"], {"name": "a\0b"}, "file.name"),
        (["name"], {"name": "x" * 10_000}, "file.name"),
        (["user_meta"], {"user_meta": b"{"}, "file.user_meta"),
        (["user_meta"], {"user_meta": b"[]"}, "file.user_meta"),
        (["user_meta"], {"user_meta": b'{"a": "\\u0000"}'}, "file.user_meta"),
        (["user_meta"], {"user_meta": b'{"a": "\xff"}'}, "file.user_meta"),
        (["user_meta"], {"user_meta": b'{"a":' * 3000}, "file.user_meta"),
        (["sensitive_marks"], {"sensitive_marks": b"[13]"}, "file.sensitive_marks"),
        (["sensitive_marks"], {"sensitive_marks": b"[" + b"1," * 100 + b"1]"}, "file.sensitive_marks"),
        (["sensitive_marks"], {"sensitive_marks": b'{"a": 1}'}, "file.sensitive_marks"),
    ],
)
async def test_update_names_what_it_does_not_take(
    rpc: Rpc, files: None, paths: list[str], fields: dict[str, Any], named: str
) -> None:
    before = await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    code, message = await refused(change(rpc, paths, **fields))
    assert code is StatusCode.INVALID_ARGUMENT
    assert named in message
    assert len(message) < 500
    assert await rpc.files.GetFile(wire.GetFileRequest(id="file-1")) == before


async def test_update_without_mask_or_file_and_with_too_much_metadata(rpc: Rpc, files: None) -> None:
    file = wire.CloudFile(id="file-1", name="new")
    assert (await refused(rpc.files.UpdateFile(wire.UpdateFileRequest(file=file))))[0] is StatusCode.INVALID_ARGUMENT
    mask = FieldMask(paths=["name"])
    code, message = await refused(rpc.files.UpdateFile(wire.UpdateFileRequest(update_mask=mask)))
    assert (code, message) == (StatusCode.INVALID_ARGUMENT, "file: is missing.")
    large = json.dumps({"a": "x" * 20_000}).encode()
    assert (await refused(change(rpc, ["user_meta"], user_meta=large)))[0] is StatusCode.OUT_OF_RANGE


@pytest.mark.parametrize("purge", [False, True])
async def test_delete_deletes_the_file_its_references_and_its_bytes(
    rpc: Rpc, rows: Rows, files: None, purge: bool
) -> None:
    request = wire.CreateReferenceRequest(file_id="file-1", usage="post", resource_id="post:1")
    await rpc.references.CreateReference(request)
    await rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1", purge=purge))
    assert (await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1"))))[0] is StatusCode.NOT_FOUND
    assert await rows.fetchval("select count(*) from file_references") == 0
    assert await rows.fetchval("select count(*) from objects where id = 'object-1'") == 0
    job = await rows.fetchrow("select kind, payload from jobs")
    assert job is not None
    assert (job["kind"], job["payload"]) == ("delete_object", {"object_id": "object-1", "pool_id": POOL_ID})
    again = rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1", purge=purge))
    assert (await refused(again))[0] is StatusCode.NOT_FOUND


async def test_of_two_deletions_at_once_one_succeeds(rpc: Rpc, rows: Rows, files: None) -> None:
    calls = [rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1")) for _ in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert await rows.fetchval("select count(*) from jobs") == 1
    assert await wrong_counts(rows) == []


async def test_shared_bytes_stay_while_another_file_has_them(rpc: Rpc, rows: Rows, files: None) -> None:
    await rows.execute("update objects set reference_count = 2 where id = 'object-1'")
    await rows.execute("update files set object_id = 'object-1' where id = 'file-2'")
    await rows.execute("delete from objects where id = 'object-2'")
    await rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1"))
    assert await rows.fetchval("select count(*) from jobs") == 0
    assert await wrong_counts(rows) == []
    await rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-2"))
    assert await rows.fetchval("select count(*) from jobs") == 1


async def test_purge_cache_answers_for_a_file_that_is_there(rpc: Rpc, files: None) -> None:
    await rpc.files.PurgeCache(wire.PurgeCacheRequest(file_id="file-1"))


async def test_names_with_every_kind_of_text_come_back_as_they_were_given(
    rpc: Rpc, files: None, subtests: pytest.Subtests
) -> None:
    for given in ("a/b", '"quoted"', "line-of-عربى", "😀" * 200, " padded "):
        with subtests.test(given):
            assert (await change(rpc, ["name"], name=given)).name == given
