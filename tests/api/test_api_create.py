"""What a request to upload may say."""

import hashlib
import io
import json
from typing import Any

import pytest
from support.api import Answer, Api
from support.rows import Rows, add_pool, reserved_bytes

from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID

MIB = 1024 * 1024
CREATE = "/api/files/upload/create"
TRUTHFUL: dict[str, Any] = {
    "hash": hashlib.sha256(b"x").hexdigest(),
    "file_name": "file.bin",
    "file_size": 1,
    "content_type": "application/octet-stream",
}
ABSENT = "99999999-9999-4999-8999-999999999999"

WRONG_FIELDS: list[tuple[str, Any]] = [
    ("hash", ""),
    ("hash", "a" * 257),
    ("hash", 1),
    ("hash", None),
    ("file_name", None),
    ("file_name", ["a"]),
    ("file_size", -1),
    ("file_size", "1"),
    ("file_size", 1.5),
    ("file_size", True),
    ("file_size", None),
    ("content_type", ""),
    ("content_type", "text"),
    ("content_type", "/"),
    ("content_type", "text/plain\r\nX-Evil: 1"),
    ("content_type", "text/plain\r\n;a=b"),
    ("content_type", "text/plain;\r\na=b"),
    ("content_type", "text/plain; a=\u202eb"),
    ("content_type", "text/" + "x" * 252),
    ("pool_id", "local"),
    ("pool_id", 1),
    ("bundle_id", "' or true --"),
    ("encrypt_password", "hunter2"),
    ("expired_at", "2020-01-01T00:00:00Z"),
    ("expired_at", "2099-01-01T00:00:00"),
    ("expired_at", "9999-12-31T23:59:59-23:59"),
    ("expired_at", "tomorrow"),
    ("chunk_size", 0),
    ("chunk_size", -1),
    ("chunk_size", "4"),
    ("chunk_size", 0.5),
    ("path", "/a/../b"),
    ("path", "a\nb"),
    ("path", "a\x00b"),
    ("path", "x" * 1024),
    ("path", "\U0001f600" * 600),
    ("path", 1),
]
WRONG_BODIES = {
    "nothing": b"",
    "no JSON": b"{file_name: 1}",
    "cut off": json.dumps(TRUTHFUL).encode()[:-2],
    "two values": json.dumps(TRUTHFUL).encode() * 2,
    "a list": b"[]",
    "null": b"null",
    "no UTF-8": b'{"file_name": "\xff\xfe"}',
    "a lone surrogate": json.dumps(TRUTHFUL | {"file_name": "\ud800"}).encode(),
    "NaN": json.dumps(TRUTHFUL | {"file_size": float("nan")}).encode(),
    "very deep": b"[" * 100_000 + b"]" * 100_000,
    "a form": b"file_name=a&file_size=1",
}


async def test_a_wrong_field_is_named(api: Api, rows: Rows, subtests: pytest.Subtests) -> None:
    for field, value in WRONG_FIELDS:
        with subtests.test(f"{field}={value!r}"):
            answer = await api.post(CREATE, json=TRUTHFUL | {field: value})
            assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer
            assert list(answer.json["errors"]) == [field]
    assert await reserved_bytes(rows) == 0


async def test_a_missing_field_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for field in TRUTHFUL:
        with subtests.test(field):
            answer = await api.post(CREATE, json={name: value for name, value in TRUTHFUL.items() if name != field})
            assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
            assert list(answer.json["errors"]) == [field]


async def test_a_body_that_is_no_request_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    for name, body in WRONG_BODIES.items():
        with subtests.test(name):
            answer = await api.post(CREATE, data=body, headers={"Content-Type": "application/json"})
            assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer


async def test_a_request_may_have_a_mebibyte_at_most(api: Api) -> None:
    answer = await api.post(CREATE, data=io.BytesIO(json.dumps(TRUTHFUL | {"more": "x" * MIB}).encode()))
    assert (answer.status, answer.code) == (413, "TOO_LARGE")


async def test_fields_that_nobody_knows_are_passed_over(api: Api) -> None:
    assert (await api.post(CREATE, json=TRUTHFUL | {"parent_id": "x", "usage": None})).status == 200


async def test_an_optional_field_may_be_null(api: Api) -> None:
    optional = ("pool_id", "bundle_id", "encrypt_password", "expired_at", "chunk_size", "path")
    assert (await api.post(CREATE, json=TRUTHFUL | dict.fromkeys(optional))).status == 200


async def refused_as_absent(api: Api, what: str, **fields: str) -> Answer:
    answer = await api.post(CREATE, json=TRUTHFUL | fields)
    assert (answer.status, answer.code) == (404, "NOT_FOUND"), answer
    assert answer.json["message"] == f"The requested resource '{what}' was not found."
    return answer


async def test_a_pool_must_be_there_and_open_to_the_account(api: Api, rows: Rows) -> None:
    """Somebody else's private pool is as good as absent."""
    private = await add_pool(rows, account_id=SUBSCRIBER_ID, public_usable=False)
    deleted = await add_pool(rows)
    await rows.execute("update pools set deleted_at = now() where id = $1", deleted)
    answers = [await refused_as_absent(api, "Pool", pool_id=pool_id) for pool_id in (ABSENT, private, deleted)]
    assert len({it.json["message"] for it in answers}) == 1

    own = await add_pool(rows, account_id=PLAIN_ID, public_usable=False)
    assert (await api.create(b"x", pool_id=own)).status == 200
    answer = await api.upload_direct(b"x", poolId=private)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_a_bundle_must_be_there_and_the_accounts_own(api: Api, rows: Rows) -> None:
    add = "insert into bundles (slug, name, account_id, deleted_at) values ($1, 'b', $2, $3) returning id::text"
    foreign = await rows.fetchval(add, "foreign", SUBSCRIBER_ID, None)
    own = await rows.fetchval(add, "own", PLAIN_ID, None)
    deleted = await rows.fetchval("update bundles set deleted_at = now() where id = $1 returning id::text", own)
    for bundle_id in (ABSENT, foreign, deleted):
        await refused_as_absent(api, "Bundle", bundle_id=bundle_id)

    await rows.execute("update bundles set deleted_at = null where id = $1", own)
    assert (await api.upload(b"x", bundle_id=own))["bundle_id"] == own


@pytest.mark.parametrize(
    ("file_size", "asked", "chunk_size", "chunks_count"),
    [
        (0, None, 5 * MIB, 0),
        (1, None, 5 * MIB, 1),
        (12_000_000, None, 5 * MIB, 3),
        (10, 4, 4, 3),
        (10, 10, 10, 1),
        (10, 2**62, 64 * MIB, 1),
        (10, 10**30, 64 * MIB, 1),
        (500 * MIB, 1, 52_429, 10_000),
    ],
)
async def test_the_chunk_size_is_fitted(
    api: Api, file_size: int, asked: int | None, chunk_size: int, chunks_count: int
) -> None:
    """Neither so small that there are too many, nor so large that one is too long to send."""
    answer = await api.post(CREATE, json=TRUTHFUL | {"file_size": file_size, "chunk_size": asked})
    assert answer.status == 200, answer
    assert (answer.json["chunk_size"], answer.json["chunks_count"]) == (chunk_size, chunks_count)


@pytest.mark.parametrize("file_size", [640_000 * MIB + 1, 2**63 - 1, 2**63, 10**30])
async def test_a_file_can_be_too_large(api: Api, file_size: int) -> None:
    answer = await api.post(CREATE, json=TRUTHFUL | {"file_size": file_size})
    assert (answer.status, answer.code) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; charset=utf-8",
        "application/vnd.oasis.opendocument.text",
        "image/svg+xml",
        'a/b;c="d e"',
        "A/B ;c=d",
    ],
)
async def test_a_content_type_is_kept_and_served(api: Api, content_type: str) -> None:
    file = await api.upload(b"x", content_type=content_type)
    assert file["mime_type"] == content_type
    assert (await api.get(f"/api/files/{file['id']}")).headers["Content-Type"] == content_type


@pytest.mark.parametrize("declared", ["d41d8cd98f00b204e9800998ecf8427e", "unknown", "z" * 64, "é" * 64, "ab" * 33])
async def test_a_hash_that_is_no_sha256_is_taken_and_not_used(api: Api, declared: str) -> None:
    """Clients of the original send MD5; what is answered is the server's own SHA-256."""
    first, second = [await api.upload(b"the same", hash=declared) for _ in range(2)]
    assert first["hash"] == second["hash"] == hashlib.sha256(b"the same").hexdigest()
    assert first["id"] != second["id"]


async def test_a_hash_may_be_in_capitals(api: Api) -> None:
    file = await api.upload(b"x", hash=TRUTHFUL["hash"].upper())
    assert file["hash"] == TRUTHFUL["hash"]


async def test_the_expiry_and_the_folder_of_a_file_are_kept(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", expired_at="2099-01-01T01:00:00+01:00", path="a//b c/")
    assert file["expired_at"] == "2099-01-01T00:00:00Z"
    assert await rows.fetchval("select path from file_indexes where file_id = $1", file["id"]) == "/a/b c/"
