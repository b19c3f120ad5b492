"""`DRIVE_PROFILE=original` and its pieces, counted by those who are at the other ends of the connections."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from serve_support import CREATING, channels, peer_connections, watching
from support.api import Api
from support.process import Serve, environment, serving, until

from drive.cli.processes import running
from drive.peers import Account, Peers
from drive.settings import PROFILES, Settings, SettingsError, load

OPEN_AT_START = {"DRIVE_OPEN_AT_START": "true"}
CHANNEL_PER_CLIENT = {"DRIVE_GRPC_CHANNEL_PER_CLIENT": "true"}
ORIGINAL = {"DRIVE_PROFILE": "original"}
WORKERS_CLIENTS = {"AuthService", "PermissionService", "AccountService", "RingService"}
"""Whom an upload needs."""


class TestSettings:
    def test_it_changes_the_defaults_of_what_it_lists_and_nothing_else(self) -> None:
        changed = replace(Settings(), profile="original", **PROFILES["original"])
        assert load(ORIGINAL) == changed
        assert load({}) == Settings()

    def test_every_value_in_it_differs_from_the_default(self) -> None:
        defaults = Settings()
        assert [name for name, value in PROFILES["original"].items() if getattr(defaults, name) == value] == []

    def test_what_is_set_explicitly_stays_wherever_that_is(self, tmp_path: Path) -> None:
        file = tmp_path / "drive.toml"
        file.write_text('profile = "original"\ndatabase_max_connections = 7\n')
        settings = load({"DRIVE_GRPC_MAX_CONNECTIONS": "2"}, file=file)
        assert (settings.database_max_connections, settings.grpc_max_connections) == (7, 2)
        assert (settings.database_idle_timeout_s, settings.open_at_start) == (60.0, True)

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="DRIVE_PROFILE: must be empty or original"):
            load({"DRIVE_PROFILE": "classic"})


async def connections(settings: Settings, peers: Peers) -> dict[str, int]:
    async with watching(settings) as watcher:
        return {
            "PostgreSQL": len(await watcher.database_connections()),
            "Redis": len(watcher.redis_connections()),
            **peer_connections(peers),
        }


NONE = {"PostgreSQL": 0, "Redis": 0, "pass": 0, "ring": 0}


async def test_opened_at_start_all_is_connected_before_the_first_request(settings: Settings, peers: Peers) -> None:
    """Alone, it takes no more than the first requests would have: one channel for each endpoint."""
    async with serving(settings, **OPEN_AT_START) as serve:
        assert len(channels(serve)) == 2
        assert await connections(settings, peers) == {"PostgreSQL": 1, "Redis": 1, "pass": 1, "ring": 1}
        await upload(serve, peers)
        assert len(channels(serve)) == 2
        assert serve.lines("Profile") == []


async def test_with_a_channel_per_client_those_that_are_called_have_one_each(settings: Settings, peers: Peers) -> None:
    """Alone, it opens nothing before it is called."""
    async with serving(settings, **CHANNEL_PER_CLIENT) as serve:
        assert await connections(settings, peers) == NONE
        await upload(serve, peers)
        assert {service for _, service in channels(serve)} == WORKERS_CLIENTS
        assert peer_connections(peers) == {"pass": 3, "ring": 1}


async def test_the_original_profile_opens_ten_channels_and_as_many_connections_at_start(
    settings: Settings, peers: Peers
) -> None:
    async with serving(settings, **ORIGINAL) as serve:
        assert [line["profile"] for line in serve.lines("Profile")] == ["original"]
        opened = channels(serve)
        assert len({service for _, service in opened}) == len(opened) == 10
        assert {line["max_connections"] for line in serve.lines(CREATING)} == {0}
        assert await connections(settings, peers) == {"PostgreSQL": 1, "Redis": 1, "pass": 9, "ring": 1}
        health = await serve.api.get("/health")
        assert set(health.json["parts"].values()) == {"reachable"}
        await upload(serve, peers)
        assert channels(serve) == opened
        assert peer_connections(peers) == {"pass": 9, "ring": 1}


@pytest.mark.parametrize(
    ("variables", "most"), [({}, 5), (ORIGINAL, 20), (ORIGINAL | {"DRIVE_DATABASE_MAX_CONNECTIONS": "7"}, 7)]
)
async def test_requests_that_wait_for_the_database_hold_as_many_connections_as_the_profile_or_the_setting_allows(
    settings: Settings, peers: Peers, variables: dict[str, str], most: int
) -> None:
    for number in range(30):
        peers.world.add(Account(f"account{number}"), f"token-{number}")
    async with serving(settings, **variables) as serve, watching(settings) as watcher:

        async def are_waiting() -> bool:
            await watcher.database.execute("select pg_stat_clear_snapshot()")  # of this transaction
            query = """
                select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'
            """
            count: int = await watcher.database.fetchval(query)
            return count == most

        async with watcher.database.transaction():
            await watcher.database.execute("lock table files in access exclusive mode")
            asked = [
                asyncio.create_task(Api(serve.api.session, serve.url, f"token-{number}").get("/api/files/me"))
                for number in range(30)
            ]
            async with asyncio.timeout(20):
                while not await are_waiting():
                    pass
            assert len(await watcher.database_connections()) == most
        assert {answer.status for answer in await asyncio.gather(*asked)} == {200}


async def test_where_nothing_can_be_reached_it_starts_all_the_same_and_says_what_it_could_not_open(
    settings: Settings, peers: Peers
) -> None:
    """As without the profile: what comes back later is used then."""
    await peers.ring_peer.stop()
    settings = replace(settings, database_url="postgresql://drive@127.0.0.1:1/drive", redis_url="")
    async with serving(settings, **ORIGINAL) as serve:
        said = [line["error"] for line in serve.lines("Not opened at start")]
        assert len(said) == 2
        assert "RingService" in said[0]
        assert "while opening ring" in said[0]
        assert "database" in said[1]
        assert (await serve.api.get("/alive")).status == 200


async def test_the_worker_opens_all_at_start_too(settings: Settings, peers: Peers) -> None:
    async with running("worker", environment(settings, **ORIGINAL)) as service:
        await service.logged("Opened at start")
        assert (await service.logged("Profile"))["profile"] == "original"
        assert peer_connections(peers) == {"pass": 9, "ring": 1}
        await service.logged("Working")


def test_without_it_what_opens_is_not_imported() -> None:
    program = "import sys, drive.cli.serve; print({'drive.cli.eager', 'drive.lazy.warming'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


async def upload(serve: Serve, peers: Peers) -> None:
    sent = len(peers.world.packets)
    await serve.api.upload(b"content")
    await until(lambda: len(peers.world.packets) >= sent + 2, "ring was told of the upload")
