"""Whom a file is for: everybody, its owner, or the members of a realm."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grpc
import pytest
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows, add_pool
from support.waiting import eventually

from drive.bundles import passcodes
from drive.containers import Container
from drive.peers import Fault, Peers
from drive.peers.seed import ADMIN_ID, PLAIN_ID, REALM_ID
from drive.peers.world import Member, Realm
from drive.settings import Settings

CONTENT = b"&%$#@!~^*("
OTHER_ID = "55555555-5555-4555-8555-555555555555"
MEMBER = "RealmService.IsMemberWithRole"

PRIVATE = {"visibility": "private"}
REALM = {"visibility": "realm", "realm_id": REALM_ID}
PUBLIC = {"visibility": "public"}

Serve = Callable[[Container], Awaitable[Api]]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passcodes, "_COST", 2)
    monkeypatch.setattr(passcodes, "_PARALLELISM", 1)


async def permit(api: Api, file: Any, body: Any) -> Answer:
    return await api.request("PUT", f"/api/files/{file['id']}/permission", json=body)


async def permitted(api: Api, file: Any, body: Any) -> Any:
    answer = await permit(api, file, body)
    assert answer.status == 200, answer
    return answer.json


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
        assert not any(file["name"].encode() in it.body for it in answers)
    return [it.status for it in answers]


READ = [200, 200, 206, 304, 200, 200]


def refused(status: int) -> list[int]:
    return [status] * len(READ)


# ── Who may read ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.each_store
async def test_a_file_is_public_unless_its_owner_says_otherwise(api: Api) -> None:
    file = await api.upload(CONTENT)
    assert (file["visibility"], file["realm_id"]) == ("public", None)
    assert await readings(api.signed_in_as(None), file) == READ


@pytest.mark.each_store
async def test_a_private_file_is_for_its_owner_only(api: Api) -> None:
    file = await api.upload(CONTENT)
    shown = await permitted(api, file, PRIVATE)
    assert (shown["visibility"], shown["realm_id"]) == ("private", None)
    assert await readings(api, file) == READ
    for other in (None, "subscriber", "admin"):
        assert await readings(api.signed_in_as(other), file) == refused(404)
    absent = await api.signed_in_as(None).get("/api/files/absent/info")
    hidden = await api.signed_in_as(None).get(f"/api/files/{file['id']}/info")
    assert absent.json["detail"] == hidden.json["detail"]


@pytest.mark.each_store
async def test_a_file_for_a_realm_is_for_its_members(api: Api) -> None:
    """The admin is a member, the subscriber is not."""
    file = await api.upload(CONTENT)
    shown = await permitted(api, file, REALM)
    assert (shown["visibility"], shown["realm_id"]) == ("realm", REALM_ID)
    assert await readings(api, file) == READ
    assert await readings(api.signed_in_as("admin"), file) == READ
    assert await readings(api.signed_in_as("subscriber"), file) == refused(404)
    assert await readings(api.signed_in_as(None), file) == refused(404)


@pytest.mark.each_store
async def test_a_permission_holds_from_the_next_request_on(api: Api) -> None:
    file, visitor = await api.upload(CONTENT), api.signed_in_as(None)
    for body, status in [(PRIVATE, 404), (PUBLIC, 200), (REALM, 404), (PUBLIC, 200), (PUBLIC, 200)]:
        shown = await permitted(api, file, body)
        assert shown["visibility"] == body["visibility"]
        assert (await visitor.get(f"/api/files/{file['id']}")).status == status
        assert (await api.get(f"/api/files/{file['id']}/info")).json == shown


async def test_pass_is_asked_for_files_of_a_realm_only_and_remembered(api: Api, peers: Peers) -> None:
    public, private, shared = [await api.upload(CONTENT + it) for it in (b"1", b"2", b"3")]
    await permitted(api, private, PRIVATE)
    admin = api.signed_in_as("admin")
    for reader in (api, admin, api.signed_in_as(None)):
        await readings(reader, public)
        await readings(reader, private)
    assert peers.world.calls[MEMBER] == 0
    await permitted(api, shared, REALM)
    asked = peers.world.calls[MEMBER]
    for _ in range(3):
        assert await readings(admin, shared) == READ
        assert await readings(api, shared) == READ
    assert peers.world.calls[MEMBER] == asked + 1


async def test_a_public_file_is_read_without_pass_and_others_are_not_guessed_about(api: Api, peers: Peers) -> None:
    public, shared, private = [await api.upload(CONTENT + it) for it in (b"1", b"2", b"3")]
    await permitted(api, shared, REALM)
    await permitted(api, private, PRIVATE)
    await peers.pass_peer.stop()
    admin, nobody = api.signed_in_as("admin"), api.signed_in_as(None)
    assert await readings(nobody, public) == READ
    assert await readings(nobody, shared) == refused(404)
    assert await readings(admin, shared) == refused(503)
    assert await readings(admin, private) == refused(503)


@pytest.mark.each_store
async def test_a_realm_that_cannot_be_asked_about_is_503(api: Api, peers: Peers) -> None:
    file = await api.upload(CONTENT)
    await permitted(api, file, REALM)
    peers.world.faults[MEMBER] = Fault(code=grpc.StatusCode.INTERNAL)
    assert await readings(api.signed_in_as("admin"), file) == refused(503)
    assert await readings(api, file) == READ


async def test_a_private_file_is_hidden_also_where_anonymous_readers_are_refused(api: Api, rows: Rows) -> None:
    """401 would tell that it is there."""
    file = await api.upload(CONTENT, pool_id=await add_pool(rows, allow_anonymous=False))
    nobody = api.signed_in_as(None)
    assert await readings(nobody, file) == refused(401)
    await permitted(api, file, PRIVATE)
    assert await readings(nobody, file) == refused(404)


# ── Who may say so ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_only_the_owner_changes_a_permission(api: Api) -> None:
    file = await api.upload(CONTENT)
    for other, status in [(None, 401), ("subscriber", 404), ("admin", 404)]:
        for body in (PRIVATE, PUBLIC):
            assert (await permit(api.signed_in_as(other), file, body)).status == status
    assert (await permit(api, {"id": "absent"}, PRIVATE)).status == 404
    assert (await permit(api, {"id": "a.b"}, PRIVATE)).status == 404
    assert await readings(api.signed_in_as(None), file) == READ


async def test_sharing_takes_being_a_member(api: Api, peers: Peers) -> None:
    subscriber = api.signed_in_as("subscriber")
    file = await subscriber.upload(CONTENT)
    for realm_id in (REALM_ID, str(uuid4())):
        answer = await permit(subscriber, file, {"visibility": "realm", "realm_id": realm_id})
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    peers.world.faults[MEMBER] = Fault(code=grpc.StatusCode.UNAVAILABLE)
    assert (await permit(subscriber, file, {"visibility": "realm", "realm_id": str(uuid4())})).status == 503
    assert (await subscriber.get(f"/api/files/{file['id']}/info")).json["visibility"] == "public"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"visibility": null}',
        b'{"visibility": 1}',
        b'{"visibility": "Public"}',
        b'{"visibility": "\\u0000"}',
        b'{"visibility": "realm"}',
        b'{"visibility": "realm", "realm_id": null}',
        b'{"visibility": "realm", "realm_id": ""}',
        b'{"visibility": "realm", "realm_id": -1}',
        b'{"visibility": "realm", "realm_id": "\\ud800"}',
        b'{"visibility": "private", "realm_id": "44444444-4444-4444-8444-444444444444"}',
        b'{"visibility": "public", "realm_id": "44444444-4444-4444-8444-444444444444"}',
        b'{"visibility": "' + b"a" * 10_000 + b'"}',
    ],
)
async def test_a_wrong_permission_is_refused(api: Api, body: bytes) -> None:
    file = await api.upload(CONTENT)
    path = f"/api/files/{file['id']}/permission"
    answer = await api.request("PUT", path, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


async def test_changes_at_once_leave_one_of_them(api: Api) -> None:
    file = await api.upload(CONTENT)
    answers = await asyncio.gather(*(permit(api, file, body) for body in (PRIVATE, REALM, PUBLIC) * 10))
    assert {it.status for it in answers} == {200}
    shown = (await api.get(f"/api/files/{file['id']}/info")).json
    assert (shown["visibility"] == "realm") == (shown["realm_id"] == REALM_ID)


async def test_a_permission_asks_the_database_this_often(settings: Settings, serve_app: Serve) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    file = await api.upload(CONTENT)
    for body, most in [(REALM, 3), (REALM, 1)]:
        with database.counted() as statements:
            await permitted(api, file, body)
        assert len(statements) == most, statements
    for reader in (api, api.signed_in_as("admin"), api.signed_in_as(None)):
        with database.counted() as statements:
            await reader.get(f"/api/files/{file['id']}/info")
        assert len(statements) == 1, statements


# ── From the first moment ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wanted", [PRIVATE, REALM])
async def test_an_upload_is_never_public_for_a_moment(api: Api, wanted: dict[str, str]) -> None:
    nobody = api.signed_in_as(None)
    params = {"visibility": wanted["visibility"].upper()} | ({"realmId": REALM_ID} if "realm_id" in wanted else {})
    in_chunks = await api.upload(CONTENT, **wanted)
    direct = (await api.upload_direct(CONTENT, **params)).json
    for file in (in_chunks, direct):
        assert {"visibility": file["visibility"], "realm_id": file["realm_id"]} == {"realm_id": None} | wanted
        assert await readings(nobody, file) == refused(404)
        assert await readings(api, file) == READ
    assert in_chunks["storage_id"] == direct["storage_id"]


async def test_an_upload_for_a_realm_takes_being_a_member(api: Api, rows: Rows) -> None:
    subscriber = api.signed_in_as("subscriber")
    assert (await subscriber.create(CONTENT, **REALM)).status == 404
    assert (await subscriber.upload_direct(CONTENT, visibility="realm", realm_id=REALM_ID)).status == 404
    assert (await api.create(CONTENT, visibility="realm")).status == 400
    assert (await api.create(CONTENT, realm_id=REALM_ID)).status == 400
    assert (await api.create(CONTENT, visibility="secret")).status == 400
    assert (await api.upload_direct(CONTENT, visibility="secret")).status == 400
    assert (await api.upload_direct(CONTENT, visibility="realm")).status == 400
    assert (await api.upload_direct(CONTENT, visibility="realm", realmId="x")).status == 400
    assert await rows.fetchval("select count(*) from upload_tasks") == 0


async def test_content_that_is_there_is_the_same_file_only_for_the_same_readers(api: Api) -> None:
    """Else a file that was to be private would be a public one, and the other way round."""
    public = await api.upload(CONTENT)
    assert (await api.create(CONTENT, **PRIVATE)).json["file_exists"] is False
    private = await api.upload(CONTENT, **PRIVATE)
    assert (await api.create(CONTENT, **REALM)).json["file_exists"] is False
    assert (await api.create(CONTENT)).json["file"]["id"] == public["id"]
    assert (await api.create(CONTENT, **PRIVATE)).json["file"]["id"] == private["id"]
    assert public["storage_id"] == private["storage_id"]
    await api.delete(f"/api/files/{public['id']}")
    assert await readings(api, private) == READ


async def test_the_owner_finds_all_files_in_listings_and_folders(api: Api) -> None:
    files = [await api.upload(CONTENT + it["visibility"].encode(), path="/f", **it) for it in (PUBLIC, PRIVATE, REALM)]
    ids = {file["id"] for file in files}
    listed = (await api.get("/api/files/me")).json
    assert {it["id"]: it["visibility"] for it in listed} == {it["id"]: it["visibility"] for it in files}
    assert {it["file"]["id"] for it in (await api.get("/api/index/browse?path=/f")).json["files"]} == ids


# ── In bundles ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def bundle_of(api: Api, **fields: Any) -> tuple[Any, dict[str, Any]]:
    """Make a bundle with one file of each kind, the last for another realm; return it with the files by their kind."""
    answer = await api.post("/api/bundles", json=fields)
    assert answer.status == 200, answer
    kinds = {"public": PUBLIC, "private": PRIVATE, "realm": REALM, "other": REALM | {"realm_id": OTHER_ID}}
    files = {}
    for kind, wanted in kinds.items():
        files[kind] = await api.upload(CONTENT + kind.encode(), bundle_id=answer.json["id"], **wanted)
    return answer.json, files


@pytest.fixture
def _other_realm(peers: Peers) -> None:
    """Let the account be in another realm, too."""
    members = {PLAIN_ID: Member(PLAIN_ID, 0)}
    peers.world.realms[OTHER_ID] = Realm("Other", "other", PLAIN_ID, OTHER_ID, members=members)


async def kinds_in(api: Api, bundle: Any, files: dict[str, Any], **headers: str) -> set[str]:
    answer = await api.get(f"/api/bundles/{bundle['id']}", headers=headers)
    assert answer.status == 200, answer
    found = {it["id"] for it in answer.json["files"]}
    assert answer.headers["X-Total"] == str(len(found))
    return {kind for kind, file in files.items() if file["id"] in found}


@pytest.mark.usefixtures("_other_realm")
@pytest.mark.each_store
async def test_a_bundle_never_shows_more_than_its_files_allow(api: Api) -> None:
    bundle, files = await bundle_of(api)
    assert await kinds_in(api, bundle, files) == set(files)
    for other in (None, "subscriber", "admin"):
        assert await kinds_in(api.signed_in_as(other), bundle, files) == {"public"}
    assert await readings(api.signed_in_as("admin"), files["realm"]) == READ
    assert await readings(api.signed_in_as("admin"), files["private"]) == refused(404)


@pytest.mark.usefixtures("_other_realm")
async def test_a_bundle_for_a_realm_shows_its_members_what_is_for_that_realm(api: Api) -> None:
    bundle, files = await bundle_of(api, realm_id=REALM_ID, passcode="p")
    admin, subscriber = api.signed_in_as("admin"), api.signed_in_as("subscriber")
    assert await kinds_in(api, bundle, files) == set(files)
    assert await kinds_in(admin, bundle, files) == {"public", "realm"}
    assert await kinds_in(subscriber, bundle, files, **{"X-Passcode": "p"}) == {"public"}
    assert await kinds_in(api.signed_in_as(None), bundle, files, **{"X-Passcode": "p"}) == {"public"}
    assert await readings(subscriber, files["realm"], **{"X-Passcode": "p"}) == refused(404)
    assert await readings(subscriber, files["public"]) == refused(403)
    assert await readings(subscriber, files["public"], **{"X-Passcode": "p"}) == READ


async def test_a_bundle_without_files_for_a_realm_does_not_ask_about_it(api: Api, peers: Peers) -> None:
    bundle = (await api.post("/api/bundles", json={"realm_id": REALM_ID, "passcode": "p"})).json
    file = await api.upload(CONTENT, bundle_id=bundle["id"])
    asked = peers.world.calls[MEMBER]
    answer = await api.signed_in_as("subscriber").get(f"/api/bundles/{bundle['id']}", headers={"X-Passcode": "p"})
    assert [it["id"] for it in answer.json["files"]] == [file["id"]]
    assert peers.world.calls[MEMBER] == asked


async def test_a_member_who_leaves_loses_the_file_with_the_cache(
    settings: Settings, serve_app: Serve, peers: Peers
) -> None:
    api = await serve_app(Container(settings=replace(settings, cache_ttl_s=1)))
    file, admin = await api.upload(CONTENT, **REALM), api.signed_in_as("admin")
    assert await readings(admin, file) == READ
    del peers.world.realms[REALM_ID].members[ADMIN_ID]

    async def is_hidden() -> bool:
        return (await admin.get(f"/api/files/{file['id']}")).status == 404

    await eventually(is_hidden)
    assert await readings(admin, file) == refused(404)
