"""Bundles share files under one link, with those who may see them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import grpc
import pytest
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows, add_files, add_pool, used_bytes
from support.waiting import eventually

from drive.bundles import passcodes as passcodes_module
from drive.bundles import service
from drive.containers import Container
from drive.files import lists as files
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID, REALM_ID
from drive.settings import Settings

CONTENT = b"&%$#@!~^*("
TIER = "AccountService.GetAccount"
MEMBER = "RealmService.IsMemberWithRole"
FIELDS = {
    "id",
    "slug",
    "name",
    "description",
    "has_passcode",
    "realm_id",
    "files",
    "expired_at",
    "account_id",
    "created_at",
    "updated_at",
    "deleted_at",
}

Serve = Callable[[Container], Awaitable[Api]]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passcodes_module, "_COST", 2)
    monkeypatch.setattr(passcodes_module, "_PARALLELISM", 1)


async def make(api: Api, **fields: Any) -> Any:
    answer = await api.post("/api/bundles", json=fields)
    assert answer.status == 200, answer
    return answer.json


async def show(api: Api, bundle: Any, query: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.get(f"/api/bundles/{bundle['id']}{query}", headers=named)


async def change(api: Api, bundle: Any, **fields: Any) -> Answer:
    return await api.request("PUT", f"/api/bundles/{bundle['id']}", json=fields)


async def delete(api: Api, bundle: Any) -> Answer:
    return await api.delete(f"/api/bundles/{bundle['id']}")


async def expire(rows: Rows, bundle: Any) -> None:
    await rows.execute("update bundles set expired_at = now() - interval '1 s' where id = $1", bundle["id"])


async def readings(api: Api, file: Any, **headers: str) -> list[int]:
    """Read a file in every way that there is, and return the statuses."""
    path = f"/api/files/{file['id']}"
    whole = await api.get(path, headers=headers)
    tag = whole.headers.get("ETag", f'"{file["hash"]}"')
    answers = [
        whole,
        await api.request("HEAD", path, headers=headers),
        await api.get(path, headers=headers | {"Range": "bytes=2-3"}),
        await api.get(path, headers=headers | {"If-None-Match": tag}),
        await api.get(f"{path}.bin/info", headers=headers),
        await api.get(f"{path}/references", headers=headers),
    ]
    if answers[0].status != 200:
        assert not any(CONTENT[2:4] in it.body for it in answers[:4])
    return [it.status for it in answers]


READ = [200, 200, 206, 304, 200, 200]


def refused(status: int) -> list[int]:
    return [status] * len(READ)


# ── The bundles themselves ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bundle_is_created_with_nothing_said_of_it(api: Api) -> None:
    bundle = await make(api)
    assert bundle.keys() == FIELDS
    assert bundle["name"] == "Unnamed Bundle"
    assert len(bundle["slug"]) == 10
    assert bundle["slug"].isalnum()
    assert (bundle["account_id"], bundle["has_passcode"], bundle["files"]) == (PLAIN_ID, False, [])
    assert (await show(api.signed_in_as(None), bundle)).json == bundle


async def test_a_bundle_has_what_was_said_of_it(api: Api) -> None:
    expired_at = datetime.now(UTC) + timedelta(days=1)
    said = {"slug": "Caf\u00e9-1.0_~", "name": "N", "description": "D\n", "realm_id": REALM_ID}
    bundle = await make(
        api.signed_in_as("subscriber"), **said | {"realm_id": None}, passcode="p", expired_at=expired_at.isoformat()
    )
    assert {name: bundle[name] for name in said} == said | {"realm_id": None}
    assert datetime.fromisoformat(bundle["expired_at"]) == expired_at
    assert bundle["has_passcode"] is True
    assert (await make(api, realm_id=REALM_ID))["realm_id"] == REALM_ID


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"slug": "a/b"}',
        b'{"slug": ["a"]}',
        b'{"passcode": "\\u0000"}',
        b'{"realm_id": "-1"}',
        b'{"expired_at": "2020-01-01T00:00:00Z"}',
        b'{"expired_at": -1}',
        b'{"description": "' + b"a" * 10_000 + b'"}',
        b'{"passcode": "' + b"a" * 10_000 + b'"}',
    ],
)
async def test_nonsense_is_refused(api: Api, body: bytes) -> None:
    bundle = await make(api)
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/api/bundles"), ("PUT", f"/api/bundles/{bundle['id']}")):
        answer = await api.request(method, path, data=body, headers=headers)
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer


async def test_only_those_who_have_signed_in_have_bundles(api: Api) -> None:
    bundle = await make(api)
    nobody = api.signed_in_as(None)
    path = f"/api/bundles/{bundle['id']}"
    for method, route in (("POST", "/api/bundles"), ("GET", "/api/bundles/me"), ("PUT", path), ("DELETE", path)):
        assert (await nobody.request(method, route, json={})).status == 401


async def test_anothers_bundle_is_as_good_as_absent(api: Api, rows: Rows) -> None:
    bundle, other = await make(api, name="mine"), api.signed_in_as("admin")
    absent = {"id": str(uuid4())}
    for caller, which in ((other, bundle), (api, absent)):
        assert (await change(caller, which, name="x")).status == 404
        assert (await change(caller, which, slug="x")).status == 404
        assert (await delete(caller, which)).status == 404
    assert (await show(api, absent)).status == 404
    assert (await api.get("/api/bundles/nonsense")).status == 404
    assert await rows.fetchval("select name from bundles where deleted_at is null") == "mine"


async def test_null_changes_nothing_and_an_empty_text_clears(api: Api) -> None:
    expired_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    bundle = await make(api, name="N", description="D", passcode="p", expired_at=expired_at, realm_id=REALM_ID)
    same = await change(api, bundle, name=None, passcode=None, slug=bundle["slug"])
    kept = ("slug", "name", "description", "has_passcode", "realm_id", "expired_at")
    assert same.status == 200
    assert [same.json[name] for name in kept] == [bundle[name] for name in kept]
    renamed = await change(api, bundle, name="M", description="", slug="")
    assert [renamed.json[name] for name in kept] == [bundle["slug"], "M", "", True, REALM_ID, bundle["expired_at"]]
    cleared = await change(api, bundle, passcode="", expired_at="", realm_id="")
    assert [cleared.json[name] for name in kept[3:]] == [False, None, None]
    assert cleared.json["updated_at"] > bundle["updated_at"]


async def test_a_listing_is_of_ones_own_newest_first_and_without_files(api: Api) -> None:
    bundles = [await make(api, name=name) for name in ("Alpha", "Beta", "alphabet")]
    await make(api.signed_in_as("admin"), name="alpha")
    await api.upload(CONTENT, bundle_id=bundles[0]["id"])
    await delete(api, await make(api, name="alpha"))

    async def names(query: str = "") -> tuple[list[str], str]:
        answer = await api.get(f"/api/bundles/me{query}")
        assert all(it["files"] == [] for it in answer.json)
        return [it["name"] for it in answer.json], answer.headers["X-Total"]

    assert await names() == (["alphabet", "Beta", "Alpha"], "3")
    assert await names("?term=ALPHA") == (["alphabet", "Alpha"], "2")
    assert await names("?term=%25") == ([], "0")
    assert await names("?offset=1&take=1") == (["Beta"], "3")
    assert await names("?offset=9") == ([], "3")
    for query in ("?take=101", "?take=0", "?offset=-1", "?term=%00"):
        assert (await api.get(f"/api/bundles/me{query}")).status == 400


# ── Slugs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bundle_is_found_by_its_slug(api: Api) -> None:
    subscriber = api.signed_in_as("subscriber")
    bundle = await make(subscriber, slug="caf\u00e9", passcode="p")
    path = "/api/bundles/by-slug/caf%C3%A9"
    assert (await subscriber.get(path)).json == bundle
    assert (await api.get(path)).status == 403
    assert (await api.get(path, headers={"X-Passcode": "p"})).json == bundle
    for slug in ("cafe", "caf%C3%A9x", "%00", "%ED%A0%80", "a%2Fb", "a" * 3000, "..%2F", "%20"):
        assert (await api.get(f"/api/bundles/by-slug/{slug}")).status == 404, slug


async def test_a_slug_is_chosen_by_subscribers_alone(api: Api, rows: Rows) -> None:
    bundle = await make(api)
    for answer in (await api.post("/api/bundles", json={"slug": "mine"}), await change(api, bundle, slug="mine")):
        assert (answer.status, answer.code) == (403, "FORBIDDEN")
    assert await rows.fetchval("select count(*) from bundles where slug = 'mine'") == 0


async def test_without_pass_no_slug_is_chosen(api: Api, peers: Peers, rows: Rows) -> None:
    peers.world.faults[TIER] = Fault(code=grpc.StatusCode.INTERNAL)
    assert (await api.signed_in_as("subscriber").post("/api/bundles", json={"slug": "mine"})).status == 503
    assert await rows.fetchval("select count(*) from bundles") == 0
    assert await make(api)


async def test_a_slug_that_is_taken_is_a_conflict_and_free_again_after_a_deletion(api: Api) -> None:
    subscriber = api.signed_in_as("subscriber")
    bundle, other = await make(subscriber, slug="one"), await make(subscriber, slug="two")
    for answer in (
        await subscriber.post("/api/bundles", json={"slug": "one"}),
        await change(subscriber, other, slug="one", name="not kept"),
    ):
        assert (answer.status, answer.code) == (409, "CONFLICT")
        assert answer.json["errors"].keys() == {"slug"}
    assert (await show(subscriber, other)).json == other
    assert (await delete(subscriber, bundle)).status == 204
    assert (await change(subscriber, other, slug="one")).json["slug"] == "one"


async def test_of_twins_that_want_one_slug_one_gets_it(api: Api, rows: Rows) -> None:
    subscriber = api.signed_in_as("subscriber")
    others = [await make(subscriber) for _ in range(4)]
    answers = await asyncio.gather(
        *(subscriber.post("/api/bundles", json={"slug": "one"}) for _ in range(4)),
        *(change(subscriber, bundle, slug="one") for bundle in others),
    )
    assert sorted(it.status for it in answers) == [200] + [409] * 7
    assert await rows.fetchval("select count(*) from bundles where slug = 'one'") == 1


async def test_a_random_slug_that_is_taken_is_replaced(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    slugs = iter(["taken", "taken", "taken", "free"])
    monkeypatch.setattr(service, "_random_slugs", lambda: slugs)
    assert (await make(api))["slug"] == "taken"
    assert (await make(api))["slug"] == "free"


# ── The files in a bundle ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bundle_shows_its_files_page_by_page(api: Api, rows: Rows) -> None:
    bundle, other = await make(api), await make(api)
    await add_files(rows, 5)
    await rows.execute(
        "update files set bundle_id = $1, created_at = now() + size_bytes * interval '1 s'", bundle["id"]
    )
    shown = await show(api.signed_in_as(None), bundle)
    assert [file["id"] for file in shown.json["files"]] == [f"file-{n}" for n in range(1, 6)]
    assert shown.headers["X-Total"] == "5"
    assert shown.json["files"][0] == (await api.get("/api/files/file-1/info")).json
    page = await show(api, bundle, "?offset=1&take=2")
    assert ([it["id"] for it in page.json["files"]], page.headers["X-Total"]) == (["file-2", "file-3"], "5")
    beyond = await show(api, bundle, "?offset=9")
    assert (beyond.json["files"], beyond.headers["X-Total"]) == ([], "5")
    assert (await show(api, other)).json["files"] == []
    assert (await show(api, bundle, "?take=101")).status == 400


async def test_a_bundle_shows_no_file_that_is_not_there_for_its_reader(api: Api, rows: Rows) -> None:
    bundle = await make(api)
    hidden = await add_pool(rows, allow_anonymous=False)
    await add_files(rows, 5)
    await rows.execute("update files set bundle_id = $1", bundle["id"])
    await rows.execute("update files set is_marked_recycle = true where id = 'file-2'")
    await rows.execute("update files set expired_at = now() where id = 'file-3'")
    await rows.execute("update files set pool_id = $1 where id = 'file-4'", hidden)
    await api.delete("/api/files/file-5")
    for reader, ids in ((api, ["file-1", "file-4"]), (api.signed_in_as(None), ["file-1"])):
        shown = await show(reader, bundle)
        assert [it["id"] for it in shown.json["files"]] == ids
        assert shown.headers["X-Total"] == str(len(ids))


async def test_uploads_go_to_a_bundle_that_is_ones_own_and_alive(api: Api, rows: Rows) -> None:
    bundle = await make(api)
    foreign = await make(api.signed_in_as("admin"))
    deleted = await make(api)
    await delete(api, deleted)
    for absent in (foreign, deleted):
        assert (await api.create(CONTENT, bundle_id=absent["id"])).status == 404
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    assert [it["id"] for it in (await show(api, bundle)).json["files"]] == [file["id"]]
    await expire(rows, bundle)
    answer = await api.create(b"more", bundle_id=bundle["id"])
    assert (answer.status, answer.code) == (409, "CONFLICT")


async def test_content_that_is_there_is_taken_only_for_a_file_of_the_same_bundle(api: Api) -> None:
    """Else a file that was to be shared would stay unshared, or one that was not to be secret would be."""
    bundle = await make(api, passcode="p")
    loose = await api.upload(CONTENT)
    assert (await api.create(CONTENT, bundle_id=bundle["id"])).json["file_exists"] is False
    bundled = await api.upload(CONTENT, bundle_id=bundle["id"])
    assert bundled["storage_id"] == loose["storage_id"]
    assert (await api.create(CONTENT, bundle_id=bundle["id"])).json["file"]["id"] == bundled["id"]
    assert (await api.create(CONTENT)).json["file"]["id"] == loose["id"]


@pytest.mark.each_store
async def test_deleting_a_bundle_puts_its_files_into_the_recycle_bin(api: Api, peers: Peers, rows: Rows) -> None:
    bundle, other = await make(api), await make(api)
    file, kept = await api.upload(b"gone", bundle_id=bundle["id"]), await api.upload(b"kept", bundle_id=other["id"])
    assert (await delete(api, bundle)).status == 204
    assert (await show(api, bundle)).status == 404
    assert (await api.get(f"/api/bundles/by-slug/{bundle['slug']}")).status == 404
    assert (await delete(api, bundle)).status == 404
    recycled = (await api.get("/api/files/me?recycled=true")).json
    assert [it["id"] for it in recycled] == [file["id"]]
    assert await used_bytes(rows) == len(b"kept")
    nobody = api.signed_in_as(None)
    assert await readings(nobody, file) == refused(404)
    assert await readings(nobody, kept) == READ
    await eventually(lambda: [it.action for it in peers.world.action_logs] == ["bundles.delete"])

    assert (await api.delete(f"/api/files/{file['id']}/recycle")).status == 200
    assert await readings(api, file) == READ
    assert await readings(nobody, file) == refused(404)


async def test_an_upload_that_a_deletion_overtakes_ends_in_the_recycle_bin(api: Api, rows: Rows) -> None:
    bundle = await make(api)
    created = (await api.create(CONTENT, bundle_id=bundle["id"])).json
    await api.send_chunks(created, CONTENT)
    await delete(api, bundle)
    completed = await api.complete(created["task_id"])
    assert completed.status == 200
    assert completed.json["is_marked_recycle"] is True
    assert await used_bytes(rows) == 0


async def test_uploads_and_a_deletion_at_once_leave_no_file_outside_the_recycle_bin(api: Api, rows: Rows) -> None:
    for n in range(8):
        bundle = await make(api)
        tasks = []
        for i in range(4):
            content = bytes([n, i]) * 5
            tasks.append((await api.create(content, bundle_id=bundle["id"])).json)
            await api.send_chunks(tasks[-1], content)
        answers = await asyncio.gather(*(api.complete(it["task_id"]) for it in tasks), delete(api, bundle))
        assert [it.status for it in answers] == [200] * 4 + [204]
    assert await rows.fetchval("select count(*) from files where is_marked_recycle") == 32
    assert await used_bytes(rows) == 0


async def test_of_twins_that_delete_a_bundle_one_does(api: Api) -> None:
    bundle = await make(api)
    answers = await asyncio.gather(*(delete(api, bundle) for _ in range(5)))
    assert sorted(it.status for it in answers) == [204, 404, 404, 404, 404]


# ── Who may see them ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reader", [None, "admin"])
@pytest.mark.each_store
async def test_a_passcode_opens_a_bundle_and_its_files(api: Api, reader: str | None) -> None:
    bundle = await make(api, passcode="open sesame")
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    visitor = api.signed_in_as(reader)
    for headers in ({}, {"X-Passcode": "wrong"}):
        assert (await show(visitor, bundle, **headers)).code == "FORBIDDEN"
    assert await readings(visitor, file) == refused(403)
    assert await readings(visitor, file, **{"X-Passcode": "wrong"}) == refused(403)
    assert await readings(visitor, file, **{"X-Passcode": "open sesame"}) == READ
    assert (await show(visitor, bundle, "?passcode=open%20sesame")).json["files"] == [file]
    assert (await visitor.get(f"/api/files/{file['id']}?passcode=open+sesame")).body == CONTENT
    assert await readings(api, file) == READ
    assert await readings(api, file, **{"X-Passcode": "wrong"}) == READ
    assert (await show(api, bundle)).json["files"] == [file]


async def test_a_new_passcode_ends_the_old_one(api: Api) -> None:
    bundle, nobody = await make(api, passcode="old"), api.signed_in_as(None)
    assert (await show(nobody, bundle, X_Passcode="old")).status == 200
    await change(api, bundle, passcode="new")
    assert (await show(nobody, bundle, X_Passcode="old")).status == 403
    assert (await show(nobody, bundle, X_Passcode="new")).status == 200
    await change(api, bundle, passcode="")
    assert (await show(nobody, bundle)).status == 200


@pytest.mark.parametrize("passcode", ["a" * 257, "a" * 7000])
async def test_what_can_be_no_passcode_is_refused(api: Api, passcode: str) -> None:
    bundle = await make(api, passcode="p")
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    nobody = api.signed_in_as(None)
    for path in (f"/api/bundles/{bundle['id']}", f"/api/files/{file['id']}", f"/api/files/{file['id']}/info"):
        assert (await nobody.get(path, headers={"X-Passcode": passcode})).status == 400
        assert (await nobody.get(f"{path}?passcode=%00")).status == 400


async def test_a_passcode_that_is_no_text_is_refused(api: Api) -> None:
    bundle = await make(api, passcode="p")
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /api/bundles/{bundle['id']} HTTP/1.1\r\nHost: drive\r\nX-Passcode: ".encode() + b"\xff\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.transport.abort()


async def test_wrong_passcodes_are_counted_over_the_bundle_and_its_files(api: Api, rows: Rows) -> None:
    bundle, other = await make(api, passcode="p"), await make(api, passcode="p")
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    nobody = api.signed_in_as(None)
    for n in range(5):
        assert (await show(nobody, bundle, X_Passcode=f"bundle {n}")).status == 403
        assert (await nobody.get(f"/api/files/{file['id']}?passcode=file+{n}")).status == 403
    answer = await show(nobody, bundle, X_Passcode="p")
    assert (answer.status, answer.code) == (429, "TOO_MANY_REQUESTS")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert await readings(nobody, file, **{"X-Passcode": "p"}) == refused(429)
    assert (await show(nobody, bundle)).status == 403
    assert (await show(nobody, other, X_Passcode="p")).status == 200
    assert await readings(api, file, **{"X-Passcode": "wrong"}) == READ


@pytest.mark.each_store
async def test_a_bundle_that_has_expired_is_its_owners_alone(api: Api, rows: Rows) -> None:
    bundle = await make(api, passcode="p", realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    await expire(rows, bundle)
    for reader in (None, "admin", "subscriber"):
        visitor = api.signed_in_as(reader)
        assert (await show(visitor, bundle, X_Passcode="p")).status == 404
        assert (await visitor.get(f"/api/bundles/by-slug/{bundle['slug']}?passcode=p")).status == 404
        assert await readings(visitor, file, **{"X-Passcode": "p"}) == refused(404)
    assert (await show(api, bundle)).json["files"] == [file]
    assert await readings(api, file) == READ
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert (await change(api, bundle, expired_at=later)).status == 200
    assert await readings(api.signed_in_as(None), file, **{"X-Passcode": "p"}) == READ


@pytest.mark.each_store
async def test_members_of_the_realm_need_no_passcode(api: Api) -> None:
    bundle = await make(api, passcode="p", realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    assert (await show(api.signed_in_as("admin"), bundle)).json["files"] == [file]
    assert await readings(api.signed_in_as("admin"), file) == READ
    for reader in ("subscriber", None):
        assert (await show(api.signed_in_as(reader), bundle)).status == 403
        assert await readings(api.signed_in_as(reader), file) == refused(403)
        assert await readings(api.signed_in_as(reader), file, **{"X-Passcode": "p"}) == READ


async def test_a_bundle_of_a_realm_without_a_passcode_is_for_members_alone(api: Api) -> None:
    bundle = await make(api, realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    assert await readings(api.signed_in_as("admin"), file) == READ
    for reader in ("subscriber", None):
        assert (await show(api.signed_in_as(reader), bundle)).status == 404
        assert await readings(api.signed_in_as(reader), file) == refused(404)


async def test_one_shares_with_realms_that_one_is_in(api: Api) -> None:
    subscriber = api.signed_in_as("subscriber")
    bundle = await make(subscriber)
    assert (await subscriber.post("/api/bundles", json={"realm_id": REALM_ID})).status == 404
    assert (await change(subscriber, bundle, realm_id=REALM_ID)).status == 404
    assert (await api.post("/api/bundles", json={"realm_id": str(uuid4())})).status == 404


async def test_while_pass_is_down_nobody_passes_for_a_member(api: Api, peers: Peers) -> None:
    bundle = await make(api, passcode="p", realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    admin = api.signed_in_as("admin")
    peers.world.faults[MEMBER] = Fault(code=grpc.StatusCode.INTERNAL)
    assert (await show(admin, bundle)).status == 503
    assert await readings(admin, file) == refused(503)
    assert await readings(admin, file, **{"X-Passcode": "p"}) == READ
    assert await readings(api, file) == READ
    peers.world.faults.clear()
    assert await readings(admin, file) == READ


async def test_membership_is_asked_once(api: Api, peers: Peers) -> None:
    bundle = await make(api, realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    peers.world.calls.clear()
    for _ in range(2):
        assert await readings(api.signed_in_as("admin"), file) == READ
    assert peers.world.calls[MEMBER] == 1


async def test_a_token_that_is_nobodys_is_asked_about_once_a_request(api: Api, peers: Peers) -> None:
    bundle = await make(api, passcode="p", realm_id=REALM_ID)
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    stranger = Api(api.session, api.url, "nobodys-token")
    for path in (f"/api/bundles/{bundle['id']}", f"/api/files/{file['id']}"):
        peers.world.calls.clear()
        assert (await stranger.get(path)).status == 403
        assert peers.world.calls["AuthService.Authenticate"] == 1


async def test_no_answer_has_a_passcode_or_its_hash(api: Api, rows: Rows) -> None:
    answers = [await api.post("/api/bundles", json={"passcode": "open sesame"})]
    bundle = answers[0].json
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    answers += [
        await show(api, bundle),
        await api.get("/api/bundles/me"),
        await change(api, bundle, passcode="open sesame 2"),
        await show(api.signed_in_as(None), bundle, X_Passcode="open sesame 2"),
        await show(api.signed_in_as(None), bundle, X_Passcode="open sesame 3"),
        await api.get(f"/api/files/{file['id']}/info"),
    ]
    stored = await rows.fetchval("select passcode_hash from bundles")
    assert stored.startswith("scrypt$")
    assert "sesame" not in stored
    for answer in answers:
        assert b"scrypt" not in answer.body
        assert b"sesame" not in answer.body


# ── What it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_ask_the_database_this_often(settings: Settings, serve_app: Serve) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    subscriber, nobody = api.signed_in_as("subscriber"), api.signed_in_as(None)
    bundle = await make(subscriber, slug="one", passcode="p")
    file = await subscriber.upload(CONTENT, bundle_id=bundle["id"])
    passcode = {"X-Passcode": "p"}
    requests: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
        (1, lambda: show(nobody, bundle, X_Passcode="p")),
        (1, lambda: show(nobody, bundle)),
        (1, lambda: api.get("/api/bundles/by-slug/one", headers=passcode)),
        (0, lambda: api.get("/api/bundles/by-slug/%00")),
        (1, lambda: subscriber.get("/api/bundles/me")),
        (1, lambda: nobody.get(f"/api/files/{file['id']}", headers=passcode)),
        (1, lambda: nobody.get(f"/api/files/{file['id']}/info")),
        (1, lambda: make(subscriber)),
        (1, lambda: change(subscriber, bundle, name="x")),
        (2, lambda: change(subscriber, bundle, slug="two")),
        (4, lambda: delete(subscriber, bundle)),
    ]
    for most, request in requests:
        with database.counted() as statements:
            await request()
        assert len(statements) == most, statements


@pytest.mark.own_database
async def test_each_query_runs_on_an_index(rows: Rows) -> None:
    await rows.execute(
        """
        insert into bundles (slug, name, account_id)
        select 'slug-' || n, 'b', case when n % 100 = 0 then $1::uuid else gen_random_uuid() end
        from generate_series(1, 10000) n
        """,
        PLAIN_ID,
    )
    await add_files(rows, 10_000)
    await rows.execute(
        "update files f set bundle_id = b.id from bundles b where b.slug = 'slug-' || (f.size_bytes % 1000 + 1)"
    )
    await rows.execute("analyze")
    bundle_id = await rows.fetchval("select id from bundles where slug = 'slug-7'")

    async def plan(query: str, *args: Any) -> str:
        return "\n".join(row[0] for row in await rows.fetch(f"explain (analyze) {query}", *args))

    shown = service.QUERIES["shown"]
    plans = {
        "by id": await plan(shown.replace("{which}", service._BY_ID), bundle_id, None, True, 0, 100),
        "by slug": await plan(shown.replace("{which}", service._BY_SLUG), "slug-7", None, True, 0, 100),
        "mine": await plan(service.QUERIES["mine"], PLAIN_ID, None, 0, 20),
        "recycle": await plan(service.QUERIES["recycle_files"], bundle_id),
        "file": await plan(files.QUERIES["guarded_by_id"], ["file-7"]),
    }
    for name, found in plans.items():
        assert "Seq Scan on files" not in found, f"{name}\n{found}"
        assert "Seq Scan on bundles" not in found, f"{name}\n{found}"
