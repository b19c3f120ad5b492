"""Probes."""

import pytest
from support.api import Api
from support.rows import Rows
from support.waiting import eventually

from drive.peers import Peers

NOT_OPENED = {"database": "not opened", "redis": "not opened", "pass": "not opened", "ring": "not opened"}


async def sessions(rows: Rows) -> int:
    ours = "application_name like 'drive-%' and datname = current_database()"
    return int(await rows.fetchval(f"select count(*) from pg_stat_activity where {ours}"))


async def test_probing_opens_nothing(api: Api, rows: Rows, peers: Peers) -> None:
    nobody = api.signed_in_as(None)
    for _ in range(3):
        assert (await nobody.get("/alive")).json == {"status": "alive"}
        health = await nobody.get("/health")
        assert (health.status, health.json) == (200, {"status": "healthy", "parts": NOT_OPENED})
    assert await sessions(rows) == 0
    assert peers.world.calls.total() == 0


async def test_parts_that_were_used_are_asked(api: Api, peers: Peers) -> None:
    assert (await api.get("/api/pools")).status == 200
    used = NOT_OPENED | {"pass": "reachable", "database": "reachable"}
    assert (await api.get("/health")).json == {"status": "healthy", "parts": used}
    await api.upload(b"x")
    await eventually(lambda: peers.world.packets)
    all_used = dict.fromkeys(NOT_OPENED, "reachable")
    assert (await api.get("/health")).json == {"status": "healthy", "parts": all_used}


@pytest.mark.parametrize("gone", ["pass", "ring"])
async def test_without_pass_or_ring_the_service_is_degraded(api: Api, peers: Peers, gone: str) -> None:
    """The probe stays 200: taking every replica out of service would end what works without them."""
    await api.upload(b"x")
    await eventually(lambda: peers.world.packets)
    await (peers.pass_peer if gone == "pass" else peers.ring_peer).stop()

    async def is_missed() -> bool:
        await api.upload_direct(b"y")  # a call notices; the channel by itself is idle
        health = await api.get("/health")
        assert health.status == 200
        return bool(health.json["parts"][gone] == "unreachable" and health.json["status"] == "degraded")

    await eventually(is_missed)
