"""Marks, metadata, references and deletion of many files."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows, add_files, add_pool, used_bytes, wrong_counts
from support.storage import objects
from support.waiting import eventually

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings

CONTENT = b"0123456789"
ABSENT = "AAAAAAAAAAAAAAAAAAAAAA"

Serve = Callable[[Container], Awaitable[Api]]


@pytest_asyncio.fixture
async def file(api: Api) -> Any:
    return (await api.upload_direct(CONTENT, "a.png", "image/png")).json


async def put(api: Api, path: str, body: Any) -> Answer:
    return await api.request("PUT", path, data=body if isinstance(body, bytes) else msgspec.json.encode(body))


async def add_references(rows: Rows, file_id: str, count: int, expired_at: datetime | None = None) -> None:
    await rows.execute(
        "insert into file_references (file_id, usage, resource_id, expired_at, created_at) "
        "select $1, 'post', coalesce($3::timestamptz::text, '') || 'post:' || n, $3, now() + make_interval(secs => n) "
        "from generate_series(1, $2::int) n",
        file_id,
        count,
        expired_at,
    )


@pytest.mark.parametrize(
    ("given", "kept"), [([12, 0, 3, 3, 0], [0, 3, 12]), ([], []), (None, None), (list(range(13)), list(range(13)))]
)
async def test_marks_are_kept_in_order_and_once(api: Api, file: Any, given: Any, kept: Any) -> None:
    path = f"/api/files/{file['id']}"
    answer = await put(api, f"{path}/marks", {"sensitive_marks": given})
    assert (answer.status, answer.json["sensitive_marks"]) == (200, kept)
    assert (await api.get(f"{path}/info")).json["sensitive_marks"] == kept


@pytest.mark.parametrize(
    "body",
    [
        {"sensitive_marks": [13]},
        {"sensitive_marks": [-1]},
        {"sensitive_marks": ["1"]},
        {"sensitive_marks": [True]},
        {"sensitive_marks": [2**70]},
        {"sensitive_marks": 1},
        {"sensitive_marks": [0] * 101},
        {},
        [1],
        b"",
        b"\xff",
    ],
    ids=str,
)
async def test_marks_that_are_none_are_refused(api: Api, file: Any, body: Any) -> None:
    answer = await put(api, f"/api/files/{file['id']}/marks", body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.json["errors"]


META: dict[str, Any] = {
    "empty": {},
    "names as given": {"myKey": 1, "my_key": 2, "My-Key": {"innerKey": [{"deepKey": None}]}},
    "all kinds": {
        "a": True,
        "b": None,
        "c": 1.5,
        "d": -(2**63),
        "e": 2**63 - 1,
        "f": "é\n\u2028𝄞",
        "g": [],
        "h": 1e18,
        "i": -1e-30,
    },
    "as deep as may be": {"a": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]},
    "as many keys as may be": {f"k{n}": {} for n in range(256)},
    "as long as may be": {"a": "x" * (16 * 1024 - len('{"a":""}'))},
}


@pytest.mark.parametrize("name", META)
async def test_metadata_is_answered_as_it_was_given(api: Api, file: Any, name: str) -> None:
    path = f"/api/files/{file['id']}"
    answer = await put(api, f"{path}/meta", META[name])
    assert (answer.status, answer.json["user_meta"]) == (200, META[name])
    assert (await api.get(f"{path}/info")).json["user_meta"] == META[name]
    assert (await api.get("/api/files/me")).json[0]["user_meta"] == META[name]


REFUSED_META: dict[str, tuple[bytes, int]] = {
    "no object": (b"[]", 400),
    "null": (b"null", 400),
    "nothing": (b"", 400),
    "cut short": (b'{"a":', 400),
    "not UTF-8": (b'{"a":"\xff"}', 400),
    "a NUL": (b'{"a":"\\u0000"}', 400),
    "a NUL in a key": (b'{"\\u0000":1}', 400),
    "half a surrogate pair": (b'{"a":"\\ud800"}', 400),
    "half a surrogate pair within": (b'{"a":"\\ud800xxxxxxxxxxxx"}', 400),
    "too deep": (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", 400),
    "far too deep": (b'{"a":' + b"[" * 8000 + b"]" * 8000 + b"}", 400),
    "too many keys": (msgspec.json.encode([{str(n): 1} for n in range(257)]).join([b'{"a":', b"}"]), 400),
    "too long": (msgspec.json.encode({"a": "x" * (16 * 1024 - 7)}), 413),
    "too large a number": (b'{"a":1e19}', 400),
    "far too large a number": (b'{"a":1e400}', 400),
    "too small a number": (b'{"a":1e-300}', 400),
    "too large an integer": (b'{"a":9223372036854775808}', 400),
    "an integer of 9000 digits": (b'{"a":' + b"9" * 9000 + b"}", 400),
    "not a number": (b'{"a":NaN}', 400),
}


@pytest.mark.parametrize("name", REFUSED_META)
async def test_metadata_that_cannot_be_kept_is_refused(api: Api, file: Any, name: str) -> None:
    body, status = REFUSED_META[name]
    answer = await put(api, f"/api/files/{file['id']}/meta", body)
    assert answer.status == status, answer
    assert (await api.get(f"/api/files/{file['id']}/info")).json["user_meta"] is None


@pytest.mark.parametrize("reader", ["subscriber", "admin", None])
async def test_only_its_owner_changes_a_file(
    api: Api, file: Any, subtests: pytest.Subtests, reader: str | None
) -> None:
    other = api.signed_in_as(reader)
    for method, path, body in (
        ("PUT", "marks", {"sensitive_marks": [1]}),
        ("PUT", "meta", {"a": 1}),
        ("POST", "recycle", None),
        ("DELETE", "recycle", None),
    ):
        for file_id in (file["id"], ABSENT, "pool:1", "a%00b"):
            with subtests.test(f"{method} {path} {file_id}"):
                answer = await other.request(method, f"/api/files/{file_id}/{path}", json=body)
                assert answer.status == (401 if reader is None else 404)
    assert (await api.get(f"/api/files/{file['id']}/info")).json == file


async def test_references_are_listed_page_by_page(api: Api, file: Any, rows: Rows) -> None:
    await add_references(rows, file["id"], 7)
    await add_references(rows, file["id"], 2, datetime.now(UTC) - timedelta(days=1))
    path = f"/api/files/{file['id']}/references"
    whole = await api.signed_in_as(None).get(path)
    assert (whole.status, whole.headers["X-Total"]) == (200, "7")
    assert [it["resource_id"] for it in whole.json] == [f"post:{n}" for n in range(1, 8)]
    assert whole.json[0].keys() == {
        "id",
        "file_id",
        "usage",
        "resource_id",
        "expired_at",
        "created_at",
        "updated_at",
        "deleted_at",
    }
    part = await api.get(f"{path}?offset=2&take=3")
    assert (part.json, part.headers["X-Total"]) == (whole.json[2:5], "7")
    beyond = await api.get(f"{path}?offset=100")
    assert (beyond.json, beyond.headers["X-Total"]) == ([], "7")
    assert (await api.get(f"{path}?take=101")).status == (await api.get(f"{path}?offset=-1")).status == 400


async def test_who_may_not_read_a_file_is_not_told_who_uses_it(api: Api, rows: Rows) -> None:
    pool_id = await add_pool(rows, allow_anonymous=False)
    file = await api.upload(CONTENT, pool_id=pool_id)
    path = f"/api/files/{file['id']}/references"
    assert (await api.signed_in_as(None).get(path)).status == 401
    assert (await api.get(path)).status == 200
    await api.post(f"/api/files/{file['id']}/recycle")
    assert (await api.signed_in_as("subscriber").get(path)).status == 404
    assert (await api.get(f"/api/files/{ABSENT}/references")).status == 404


async def test_many_files_are_deleted_at_once_and_only_ones_own(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    mine = [(await api.upload_direct(CONTENT + bytes([n // 2]))).json["id"] for n in range(6)]
    theirs = (await api.signed_in_as("subscriber").upload_direct(CONTENT)).json["id"]
    asked = [*mine[:5], *mine[:5], theirs, ABSENT, "", "a\x00b", "\u202e", "x" * 10_000]
    answer = await api.post("/api/files/batches/delete", json={"file_ids": asked})
    assert (answer.status, answer.json) == (200, {"count": 5})
    assert (await api.post("/api/files/batches/delete", json={"file_ids": asked})).json == {"count": 0}
    assert [it["id"] for it in (await api.get("/api/files/me")).json] == mine[5:]
    assert (await api.get(f"/api/files/{theirs}")).body == CONTENT
    assert await used_bytes(rows) == len(CONTENT) + 1
    await worker.run_once()
    assert len(objects(settings)) == 2
    assert await wrong_counts(rows) == []


@pytest.mark.parametrize("body", [{"file_ids": ["x"] * 101}, {"file_ids": "x"}, {"file_ids": [1]}, {"file_ids": None}])
async def test_a_batch_that_is_none_is_refused(api: Api, body: Any) -> None:
    answer = await api.post("/api/files/batches/delete", json=body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert any("file_ids" in field for field in answer.json["errors"])


async def test_an_empty_batch_deletes_nothing(api: Api, file: Any) -> None:
    bodies: list[dict[str, list[str]]] = [{}, {"file_ids": []}]
    for body in bodies:
        assert (await api.post("/api/files/batches/delete", json=body)).json == {"count": 0}
    assert (await api.get(f"/api/files/{file['id']}")).status == 200


async def test_batches_of_the_same_files_at_once_delete_each_once(api: Api, rows: Rows) -> None:
    for n in range(5):
        ids = [(await api.upload_direct(CONTENT + bytes([n, m // 3]))).json["id"] for m in range(9)]
        batches = (ids, ids[::-1], ids[3:], ids[:5])
        answers = await asyncio.gather(
            *(api.post("/api/files/batches/delete", json={"file_ids": batch}) for batch in batches)
        )
        assert [it.status for it in answers] == [200] * 4
        assert sum(it.json["count"] for it in answers) == 9
    assert await wrong_counts(rows) == []
    assert await rows.fetchval("select count(*) from objects") == 0
    assert await used_bytes(rows) == 0


SHOWN = {
    "": ("image/png", "inline"),
    "?overrideMimeType=image/webp": ("image/webp", "inline"),
    "?override_mime_type=text/plain%3B%20charset=utf-8": ("text/plain; charset=utf-8", "inline"),
    "?overrideMimeType=video/mp4&download=true": ("video/mp4", "attachment"),
    "?overrideMimeType=text/html": ("image/png", "inline"),
    "?overrideMimeType=image/svg%2Bxml": ("image/png", "inline"),
    "?overrideMimeType=video/x%2Bxml": ("image/png", "inline"),
    "?overrideMimeType=application/pdf": ("image/png", "inline"),
    "?overrideMimeType=text/javascript": ("image/png", "inline"),
    "?original=true": ("image/png", "inline"),
    "?thumbnail=false": ("image/png", "inline"),
}


@pytest.mark.parametrize("query", SHOWN)
@pytest.mark.each_store
async def test_a_file_is_sent_as_another_type_only_where_nothing_can_run(api: Api, file: Any, query: str) -> None:
    answer = await api.get(f"/api/files/{file['id']}{query}")
    content_type, kind = SHOWN[query]
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].startswith(f"{kind};")
    assert answer.is_safe_to_show


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [("text/html", "text/plain"), ("image/svg+xml", "image/png"), ("application/pdf", "audio/ogg")],
)
@pytest.mark.each_store
async def test_active_content_may_be_shown_as_what_cannot_run(api: Api, stored: str, wanted: str) -> None:
    file = (await api.upload_direct(b"<script>alert(1)</script>", "x.html", stored)).json
    answer = await api.get(f"/api/files/{file['id']}?overrideMimeType={wanted}")
    assert answer.headers["Content-Type"] == wanted
    assert (answer.is_safe_to_show, answer.headers["Content-Disposition"][:6]) == (True, "inline")


@pytest.mark.parametrize(
    "query",
    [
        "overrideMimeType=png",
        "overrideMimeType=image/png%0d%0aX-Evil:1",
        "overrideMimeType=image/p%00ng",
        "overrideMimeType=%F0%9F%98%80/x",
        f"overrideMimeType={'a' * 300}/b",
        "thumbnail=2",
        "original=maybe",
    ],
)
async def test_a_wrong_parameter_of_a_download_is_refused(api: Api, file: Any, query: str) -> None:
    answer = await api.get(f"/api/files/{file['id']}?{query}")
    assert (answer.status, list(answer.json["errors"])) == (400, [query.partition("=")[0]])


async def test_a_thumbnail_that_is_not_there_is_not_found(api: Api, file: Any) -> None:
    answer = await api.get(f"/api/files/{file['id']}?thumbnail=true")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert "Thumbnail" in answer.json["message"]


async def test_what_is_deleted_is_in_the_audit_trail(api: Api, peers: Peers) -> None:
    one, two, three = [(await api.upload_direct(CONTENT, str(n))).json["id"] for n in range(3)]
    agent = {"User-Agent": "test/1.0 " + "x" * 600}
    await api.delete(f"/api/files/{one}", headers=agent)
    await api.post("/api/files/batches/delete", json={"file_ids": [two, three, ABSENT]}, headers=agent)
    await api.delete(f"/api/files/{one}")
    await api.post("/api/files/batches/delete", json={"file_ids": [ABSENT]})
    await eventually(lambda: len(peers.world.action_logs) == 2)
    first, second = peers.world.action_logs
    assert (first.account_id, first.action, first.meta) == (PLAIN_ID, "files.delete", {"file_ids": [one]})
    assert sorted(second.meta["file_ids"]) == sorted([two, three])
    assert (first.ip_address, first.user_agent) == ("127.0.0.1", agent["User-Agent"][:512])


async def test_no_deletion_waits_for_the_audit_trail_or_fails_with_it(api: Api, peers: Peers) -> None:
    import grpc

    ids = [(await api.upload_direct(CONTENT, str(n))).json["id"] for n in range(2)]
    peers.world.faults["ActionLogService.CreateActionLog"] = Fault(code=grpc.StatusCode.INTERNAL)
    with capture_logs() as lines:
        assert (await api.delete(f"/api/files/{ids[0]}")).status == 200
        await eventually(lambda: "Action log entry dropped" in {line["event"] for line in lines})
    line = next(line for line in lines if line["event"] == "Action log entry dropped")
    assert (line["action"], line["meta"], line["reason"]) == ("files.delete", {"file_ids": [ids[0]]}, "AioRpcError")
    peers.world.faults["ActionLogService.CreateActionLog"] = Fault(delay_s=60.0)
    assert (await api.delete(f"/api/files/{ids[1]}")).status == 200


async def test_requests_ask_the_database_this_often(settings: Settings, serve_app: Serve, rows: Rows) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    await add_files(rows, 60)
    await add_references(rows, "file-1", 50)
    await api.get("/api/files/me")
    path = "/api/files/file-1"
    batch = {"file_ids": [f"file-{n}" for n in range(2, 60)]}
    for request, most in (
        (put(api, f"{path}/marks", {"sensitive_marks": [1]}), 2),
        (put(api, f"{path}/meta", {"a": 1}), 2),
        (api.get(f"{path}/references"), 2),
        (api.post(f"{path}/recycle"), 2),
        (api.delete(f"{path}/recycle"), 2),
        (api.get(f"{path}?thumbnail=true"), 1),
        (api.post("/api/files/batches/delete", json=batch), 1),
        (api.delete("/api/files/me/recycle"), 1),
    ):
        with database.counted() as statements:
            assert (await request).status in {200, 404}
        assert len(statements) == most, statements
