"""Pools: which there are, what they take, who may read them."""

from typing import Any

import pytest
from support.api import Answer, Api
from support.rows import Rows, add_pool, reserved_bytes, task_status, used_bytes
from support.storage import objects, staged

from drive.peers import Peers
from drive.peers.seed import ADMIN_ID, PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings

CREATE = "/api/files/upload/create"


async def uploaded(api: Api, *, way: str, content: bytes, content_type: str, pool_id: str) -> Answer:
    """Upload in one of both ways; the answer is the one that decides."""
    if way == "direct":
        return await api.upload_direct(content, content_type=content_type, poolId=pool_id)
    return await api.create(content, content_type=content_type, pool_id=pool_id)


ACCEPTED: list[tuple[list[str] | None, str, bool]] = [
    (None, "text/plain", True),
    ([], "text/plain", True),
    (["*/*"], "text/plain", True),
    (["image/*"], "image/png", True),
    (["image/*"], "IMAGE/PNG; a=b", True),
    (["image/*"], "text/plain", False),
    (["image/*"], "imagex/png", False),
    (["image/png", "text/*"], "text/html", True),
    (["image/png"], "image/png2", False),
    (["image/png"], "image/PNG;q=1", True),
]


@pytest.mark.parametrize("way", ["chunks", "direct"])
async def test_a_pool_takes_the_types_that_it_accepts(
    api: Api, rows: Rows, subtests: pytest.Subtests, way: str
) -> None:
    for types, content_type, is_accepted in ACCEPTED:
        with subtests.test(f"{types} {content_type}"):
            pool_id = await add_pool(rows, accept_types=types)
            answer = await uploaded(api, way=way, content=b"x", content_type=content_type, pool_id=pool_id)
            assert (answer.status, answer.code) == ((200, None) if is_accepted else (403, "FORBIDDEN")), answer


@pytest.mark.parametrize("way", ["chunks", "direct"])
@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 403)])
async def test_a_pool_takes_files_up_to_its_largest_size(
    api: Api, rows: Rows, settings: Settings, way: str, size: int, status: int
) -> None:
    """How large a direct upload is shows only when it is there; nothing of it stays then."""
    pool_id = await add_pool(rows, max_file_size=10)
    answer = await uploaded(api, way=way, content=b"x" * size, content_type="a/b", pool_id=pool_id)
    assert answer.status == status, answer
    if status == 403:
        assert answer.json["message"] == "Pool 'Other' takes files of at most 10 bytes."
        assert await reserved_bytes(rows) == await used_bytes(rows) == 0
        assert staged(settings) == objects(settings) == set()


@pytest.mark.parametrize("way", ["chunks", "direct"])
@pytest.mark.parametrize(
    ("account", "privilege", "status"),
    [("plain", 0, 200), ("plain", 1, 403), ("subscriber", 2, 200), ("subscriber", 3, 403), ("admin", 1, 403)],
)
async def test_a_pool_can_be_for_subscribers_of_a_tier(
    api: Api, rows: Rows, way: str, account: str, privilege: int, status: int
) -> None:
    pool_id = await add_pool(rows, require_privilege=privilege)
    own = api.signed_in_as(account)
    answer = await uploaded(own, way=way, content=b"x", content_type="a/b", pool_id=pool_id)
    assert answer.status == status, answer
    if status == 403:
        assert f"tier {privilege}" in answer.json["message"]


@pytest.mark.parametrize("way", ["chunks", "direct"])
async def test_creating_files_takes_a_permission_that_superusers_need_not_have(
    api: Api, rows: Rows, peers: Peers, way: str
) -> None:
    for account_id in (PLAIN_ID, ADMIN_ID):
        peers.world.forbid(account_id, "files.create")
    peers.world.forbid(ADMIN_ID, "*")
    pool_id = await add_pool(rows)
    for account, status in (("plain", 403), ("subscriber", 200), ("admin", 200)):
        own = api.signed_in_as(account)
        answer = await uploaded(own, way=way, content=b"x", content_type="a/b", pool_id=pool_id)
        assert (answer.status, answer.code) == (status, None if status == 200 else "FORBIDDEN")


async def test_who_lost_the_permission_can_still_finish_read_and_delete(api: Api, peers: Peers) -> None:
    task = (await api.create(b"x")).json
    peers.world.forbid(PLAIN_ID, "files.create")
    await api.send_chunks(task, b"x")
    file = (await api.complete(task["task_id"])).json
    assert (await api.delete(f"/api/files/{file['id']}")).status == 200


@pytest.mark.parametrize(
    ("reader", "token", "status"),
    [("plain", None, 200), ("subscriber", None, 200), (None, None, 401), (None, "nobodys-token", 401)],
)
async def test_a_pool_may_refuse_anonymous_readers(
    api: Api, rows: Rows, reader: str | None, token: str | None, status: int
) -> None:
    """A token that is not valid is as good as none: 401, in words that say what to do."""
    file = await api.upload(b"x", pool_id=await add_pool(rows, allow_anonymous=False))
    own = Api(api.session, api.url, token) if token else api.signed_in_as(reader)
    for path in (f"/api/files/{file['id']}", f"/api/files/{file['id']}/info"):
        answer = await own.get(path)
        assert (answer.status, answer.code) == (status, None if status == 200 else "UNAUTHORIZED")


async def test_an_expired_file_is_for_its_owner_only(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", expired_at="2099-01-01T00:00:00Z")
    await rows.execute("update files set expired_at = now() - interval '1 s'")
    assert (await api.get(f"/api/files/{file['id']}")).body == b"x"
    for reader in ("subscriber", None):
        answer = await api.signed_in_as(reader).get(f"/api/files/{file['id']}")
        assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_the_list_has_the_pools_that_the_account_can_upload_to(api: Api, rows: Rows) -> None:
    await add_pool(rows, name="own, hidden", account_id=PLAIN_ID, is_hidden=True, public_usable=False)
    await add_pool(rows, name="public")
    await add_pool(rows, name="hidden", is_hidden=True)
    await add_pool(rows, name="private", account_id=SUBSCRIBER_ID, public_usable=False)
    await add_pool(rows, name="the operator's own", public_usable=False)
    deleted = await add_pool(rows, name="deleted")
    await rows.execute("update pools set deleted_at = now() where id = $1", deleted)
    assert await names(api) == ["Local", "own, hidden", "public"]
    assert await names(api.signed_in_as("subscriber")) == ["Local", "private", "public"]
    usage = (await api.get("/api/billing/usage")).json
    assert sorted(pool["pool_name"] for pool in usage["pool_usages"]) == ["Local", "own, hidden", "public"]


async def names(api: Api) -> list[Any]:
    return sorted(pool["name"] for pool in (await api.get("/api/pools")).json)


async def test_a_hidden_pool_can_be_used_by_whoever_knows_it(api: Api, rows: Rows) -> None:
    assert (await api.upload(b"x", pool_id=await add_pool(rows, is_hidden=True)))["size"] == 1


async def test_a_pool_that_is_deleted_meanwhile_keeps_what_was_begun(api: Api, rows: Rows) -> None:
    pool_id = await add_pool(rows)
    task = (await api.create(b"x", pool_id=pool_id)).json
    await rows.execute("update pools set deleted_at = now() where id = $1", pool_id)
    await api.send_chunks(task, b"x")
    file = (await api.complete(task["task_id"])).json
    assert (await api.get(f"/api/files/{file['id']}")).body == b"x"
    assert await task_status(rows, task["task_id"]) == 3
