"""Who is asking."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support.api import Api
from support.raw import RawRequest
from support.waiting import eventually

from drive.containers import Container
from drive.http.auth import Authenticator
from drive.peers import TOKENS, Peers
from drive.peers.seed import EXPIRED, PLAIN_ID
from drive.peers.world import Account, Fault

QUOTA = "/api/billing/quota"

PLACES: dict[str, Any] = {
    "Bearer": lambda token: {"headers": {"Authorization": f"Bearer {token}"}},
    "bearer": lambda token: {"headers": {"Authorization": f"bearer {token}"}},
    "AtField": lambda token: {"headers": {"Authorization": f"AtField {token}"}},
    "AkField": lambda token: {"headers": {"Authorization": f"AkField {token}"}},
    "tk": lambda token: {"params": {"tk": token}},
    "cookie": lambda token: {"headers": {"Cookie": f"other=1; AuthToken={token}"}},
}
NOBODYS = {
    "wrong": "nobodys-token",
    "expired": EXPIRED,
    "a valid one, and more": TOKENS["plain"] + "x",
    "in capitals": TOKENS["plain"].upper(),
    "an account": PLAIN_ID,
    "dotted": "a.b.c",
    "long": "x" * 5000,
}


async def test_a_token_may_stand_in_each_of_the_places(api: Api, subtests: pytest.Subtests) -> None:
    nobody = api.signed_in_as(None)
    for place, options in PLACES.items():
        with subtests.test(place):
            answer = await nobody.get(QUOTA, **options(TOKENS["subscriber"]))
            assert (answer.status, answer.json["based_quota"]) == (200, 10_240)


@pytest.mark.parametrize("place", PLACES)
async def test_a_token_that_is_nobodys_is_refused_in_each_place(
    api: Api, subtests: pytest.Subtests, place: str
) -> None:
    """And its refusal is not remembered for long enough to keep out who signs in next."""
    nobody = api.signed_in_as(None)
    for name, token in NOBODYS.items():
        with subtests.test(name):
            answer = await nobody.get(QUOTA, **PLACES[place](token))
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert token not in answer.body.decode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": TOKENS["plain"]},
        {"Authorization": f"Basic {TOKENS['plain']}"},
        {"Authorization": f"Bearer{TOKENS['plain']}"},
        {"Cookie": "AuthToken="},
        {"Cookie": f"authtoken={TOKENS['plain']}"},
    ],
)
async def test_without_a_token_an_account_is_asked_for(api: Api, peers: Peers, headers: dict[str, str]) -> None:
    answer = await api.signed_in_as(None).get(QUOTA, headers=headers)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert "Authorization: Bearer" in answer.json["message"]
    assert peers.world.calls["AuthService.Authenticate"] == 0


async def test_of_several_tokens_the_query_comes_first_then_the_header(api: Api) -> None:
    cookie = {"Cookie": f"AuthToken={TOKENS['plain']}"}
    header = {"Authorization": f"Bearer {TOKENS['subscriber']}"}
    nobody = api.signed_in_as(None)
    assert (await nobody.get(QUOTA, headers=cookie | header)).json["based_quota"] == 10_240
    assert (await nobody.get(QUOTA, params={"tk": "wrong"}, headers=cookie | header)).status == 401


@pytest.mark.parametrize("token", ["%00", "a%0D%0Ab", "%E2%80%AE"])
async def test_what_can_be_no_token_never_reaches_pass(api: Api, peers: Peers, token: str) -> None:
    answer = await api.signed_in_as(None).get(f"{QUOTA}?tk={token}")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert peers.world.calls["AuthService.Authenticate"] == 0


async def test_a_header_that_is_too_long_is_refused(api: Api) -> None:
    async with RawRequest.begin(api, "GET", QUOTA, Authorization="Bearer " + "x" * 20_000) as request:
        assert b" 400 " in await request.answer()


NO_ID = str(UUID(int=0))


async def test_pass_is_asked_once_for_a_token_however_many_come_at_once(api: Api, peers: Peers) -> None:
    peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=0.2)
    answers = await asyncio.gather(*(api.get(QUOTA) for _ in range(50)))
    assert {it.status for it in answers} == {200}
    assert (await api.get(QUOTA)).status == 200
    assert peers.world.calls["AuthService.Authenticate"] == 1


async def test_a_token_is_not_remembered_beyond_its_session(api: Api, peers: Peers) -> None:
    account = Account("brief", id="55555555-5555-4555-8555-555555555555")
    peers.world.add(account, "brief-token", expired_at=datetime.now(UTC) + timedelta(seconds=0.5))
    brief = Api(api.session, api.url, "brief-token")
    assert (await brief.get(QUOTA)).status == 200

    async def is_refused() -> bool:
        return (await brief.get(QUOTA)).status == 401

    await eventually(is_refused)


async def test_a_token_that_becomes_valid_works_at_once(api: Api, peers: Peers) -> None:
    new = Api(api.session, api.url, "new-token")
    assert (await new.get(QUOTA)).status == 401
    peers.world.add(peers.world.named("plain"), "new-token")
    assert (await new.get(QUOTA)).status == 200


async def test_tokens_are_remembered_as_hashes_and_not_more_than_allowed(api: Api, peers: Peers, settings: Any) -> None:
    container = Container(settings=settings)
    authenticator = Authenticator(container.accounts_client(), cache_ttl_s=30, cache_entries=2)
    for n in range(5):
        await authenticator._account(TOKENS["plain"] if n == 4 else add(peers, n), None)
    assert len(authenticator._known) == 2
    assert not any("token" in key for key in authenticator._known)
    await container.channels().aclose()
    await container.redis().aclose()


def add(peers: Peers, number: int) -> str:
    peers.world.add(peers.world.named("plain"), f"token-{number}")
    return f"token-{number}"


async def test_public_files_are_for_everybody_whatever_the_token(api: Api, subtests: pytest.Subtests) -> None:
    file = await api.upload(b"public")
    nobody = api.signed_in_as(None)
    for name, token in NOBODYS.items():
        with subtests.test(name):
            assert (await nobody.get(f"/api/files/{file['id']}", **PLACES["Bearer"](token))).body == b"public"
    assert (await nobody.get(f"/api/files/{file['id']}")).body == b"public"
