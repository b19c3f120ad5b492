"""`drive monitor` as an operator meets it."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import redis
from monitor_support import monitor, report, serving_metrics
from support.process import DRIVE, PATIENCE_S, environment

from drive.monitor import linux
from drive.monitor.linux import role_of
from drive.monitor.looking import Monitor
from drive.monitor.report import Backlog, EndpointConnections, Named, Process, Report, Server
from drive.monitor.screen import lines
from drive.names import client_name
from drive.settings import Settings

NOWHERE = "127.0.0.1:1"


@asynccontextmanager
async def connections_named(settings: Settings, name: str, count: int) -> AsyncIterator[None]:
    """Hold so many connections to PostgreSQL and to Redis under a name."""
    named = {"application_name": name}
    held = [await asyncpg.connect(settings.database_url, server_settings=named) for _ in range(count)]
    clients = [redis.Redis.from_url(settings.redis_url, client_name=name) for _ in range(count)]
    try:
        for client in clients:
            client.ping()
        yield
    finally:
        for client in clients:
            client.close()
        for connection in held:
            await connection.close()


async def test_a_cap_that_is_exceeded_ends_it_with_1_and_is_named(settings: Settings) -> None:
    """On any machine: processes are told by what they call themselves."""
    settings = replace(settings, database_max_connections=2, redis_max_connections=2)
    async with connections_named(settings, "drive-serve@elsewhere:7", 3):
        seen = await monitor(settings, "--json")
        shown = await monitor(settings, "--once")
        assert (seen.status, shown.status) == (1, 1)
        exceeded = json.loads(seen.stdout)["exceeded"]
        assert {(one["what"], one["who"], one["connections"], one["cap"]) for one in exceeded} == {
            ("PostgreSQL", "drive-serve@elsewhere:7", 3, 2),
            ("Redis", "drive-serve@elsewhere:7", 3, 2),
        }
        assert "EXCEEDED  drive-serve@elsewhere:7: 3 connections to PostgreSQL" in shown.stdout
        assert (
            await monitor(replace(settings, database_max_connections=3, redis_max_connections=3), "--json")
        ).status == 0


async def test_other_clients_and_other_monitors_exceed_nothing(settings: Settings) -> None:
    settings = replace(settings, database_max_connections=1, redis_max_connections=1)
    async with connections_named(settings, "psql", 2), connections_named(settings, "drive-monitor@elsewhere:7", 2):
        seen = await report(settings)
    assert [(one["name"], one["is_ours"]) for one in seen["database"]["clients"]] == [("psql", False)]
    assert [one["name"] for one in seen["redis"]["clients"] if "monitor" in one["name"]] == []


async def test_what_is_down_is_said_so_and_the_rest_is_told(settings: Settings) -> None:
    """Neither the database, nor Redis, nor a listener: the processes are there all the same."""
    url = f"http://{NOWHERE}/metrics"
    down = {"DRIVE_DATABASE_URL": f"postgresql://drive:secret@{NOWHERE}/drive", "DRIVE_REDIS_URL": f"redis://{NOWHERE}"}
    async with serving_metrics(settings) as (serve, _):
        seen = await report(settings, url, **down)
        shown = await monitor(settings, "--once", url, **down)
        assert (shown.status, shown.stderr) == (0, "")
    for part in (seen["database"], seen["redis"], seen["backlog"], *seen["listeners"]):
        assert "refused" in part["problem"] or "Connect call failed" in part["problem"], part
    (process,) = (one for one in seen["processes"] if one["pid"] == serve.pid)
    assert (process["database_connections"], process["redis_connections"]) == (None, None)
    assert process["memory"]["private_bytes"] > 0
    assert "PostgreSQL cannot be asked" in shown.stdout
    assert "secret" not in shown.stdout + json.dumps(seen)


@pytest.mark.parametrize(
    "wrong",
    [
        {"DRIVE_DATABASE_URL": "postgresql://drive:pa/ss@host/drive"},
        {"DRIVE_DATABASE_URL": "postgresql://drive@127.0.0.1:99999/drive"},
        {"DRIVE_DATABASE_URL": "postgresql://drive@a..b/drive"},
        {"DRIVE_DATABASE_URL": "postgresql://drive@127.0.0.1:1/drive?sslmode=any"},
        {"DRIVE_REDIS_URL": "redis://:pa/ss@host"},
        {"DRIVE_REDIS_URL": "redis://127.0.0.1/0?unknown=1"},
    ],
)
async def test_what_cannot_be_an_address_is_said_so_and_the_rest_is_told(
    settings: Settings, wrong: dict[str, str]
) -> None:
    """It is neither a traceback nor an exit status that would say that a cap is exceeded, nor tells a password."""
    seen = await report(settings, **wrong)
    is_database = "DRIVE_DATABASE_URL" in wrong
    assert bool(seen["database"]["problem"]) == bool(seen["backlog"]["problem"]) == is_database
    assert bool(seen["redis"]["problem"]) != is_database
    assert "'pa'" not in str(seen)


async def test_an_endpoint_that_is_no_name_is_left_out(settings: Settings) -> None:
    """One label of a name is empty, which no look-up takes."""
    async with serving_metrics(settings) as (serve, _):
        await serve.api.upload(b"content")
        seen = await report(settings, DRIVE_RING_ENDPOINT="http://a..b:5002")
        (process,) = (one for one in seen["processes"] if one["pid"] == serve.pid)
        assert [one["endpoint"] for one in process["grpc"]] == [settings.pass_endpoint]


async def test_it_does_not_count_itself(settings: Settings) -> None:
    """Neither among the clients nor in the sum: the server has as many connections before it looks, and after."""
    async with connections_named(settings, "drive-serve@elsewhere:7", 2):
        for _ in range(20):
            before = await connections_of_others(settings)
            seen = await report(settings)
            if before == await connections_of_others(settings):
                break
    assert (seen["database"]["connections"], seen["redis"]["connections"]) == before
    assert [one["connections"] for one in seen["database"]["clients"]] == [2]


async def connections_of_others(settings: Settings) -> tuple[int, int]:
    """Count the connections to the two servers, without those that count."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        others = await connection.fetchval(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    with redis.Redis.from_url(settings.redis_url) as client:
        return others, client.info("clients")["connected_clients"] - 1


async def test_a_server_that_never_answers_is_waited_for_some_seconds_only(settings: Settings) -> None:
    """One that takes connections and says nothing, in place of all three."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        silence = {"DRIVE_DATABASE_URL": f"postgresql://drive@{where}/drive", "DRIVE_REDIS_URL": f"redis://{where}"}
        async with asyncio.timeout(PATIENCE_S):
            seen = await report(settings, f"http://{where}/metrics", **silence)
    assert [bool(one["problem"]) for one in (seen["database"], seen["redis"], *seen["listeners"])] == [True] * 3
    assert {one["problem"] for one in (seen["database"], *seen["listeners"])} == {"no answer within 3 s"}


async def test_without_redis_and_without_tables_it_says_so(settings: Settings, postgres_server_url: str) -> None:
    settings = replace(settings, database_url=postgres_server_url, redis_url="")
    seen = await report(settings)
    assert seen["redis"] is None
    assert seen["backlog"]["problem"] == "the database has no tables yet: drive migrate"
    assert seen["database"]["problem"] is None


async def test_what_is_no_listener_of_drive_is_said_so(settings: Settings) -> None:
    async with serving_metrics(settings) as (serve, _):
        (listener,) = (await report(settings, f"{serve.url}/alive"))["listeners"]
        assert listener["problem"] is not None
        (listener,) = (await report(settings, f"{serve.url}/absent"))["listeners"]
        assert "404" in listener["problem"]


async def test_the_listener_of_the_settings_is_asked_where_none_is_named(settings: Settings) -> None:
    async with serving_metrics(settings) as (_, url):
        listen = url.removeprefix("http://").removesuffix("/metrics")
        (listener,) = (await report(settings, DRIVE_METRICS_LISTEN=listen))["listeners"]
        assert (listener["url"], listener["role"], listener["problem"]) == (url, "serve", None)
    seen = await report(settings, DRIVE_METRICS_LISTEN="127.0.0.1:0")
    assert seen["listeners"] == [], "only the log tells which port it is"


async def test_wrong_settings_end_it_with_2(settings: Settings) -> None:
    finished = await monitor(settings, "--json", DRIVE_DATABASE_URL="mysql://")
    assert (finished.status, finished.stdout) == (2, "")
    assert "DRIVE_DATABASE_URL" in finished.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--interval", "0"],
        ["--interval", "soon"],
        ["127.0.0.1:9100"],
        ["http://127.0.0.1:99999/metrics"],
        ["http://[::1/metrics"],
    ],
)
async def test_wrong_arguments_end_it_with_2(settings: Settings, arguments: Sequence[str]) -> None:
    finished = await monitor(settings, *arguments)
    assert finished.status == 2
    assert "must be" in finished.stderr


@asynccontextmanager
async def monitoring(settings: Settings, *arguments: str, stdout: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *DRIVE, "monitor", *arguments, env=environment(settings, TERM="xterm"),
        stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    assert process.stderr is not None
    said = await asyncio.wait_for(process.stderr.read(), PATIENCE_S)
    return await asyncio.wait_for(process.wait(), PATIENCE_S), said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_looks_again_and_again_until_it_is_stopped_and_then_ends_quietly(
    settings: Settings, number: signal.Signals
) -> None:
    """As JSON, each look is one line."""
    pipe = asyncio.subprocess.PIPE
    async with monitoring(settings, "--json", "--interval", "0.1", stdout=pipe) as process:
        assert process.stdout is not None
        looks = [json.loads(await process.stdout.readline()) for _ in range(3)]
        process.send_signal(number)
        await process.stdout.read()
        assert await ended(process) == (0, b"")
    assert looks[0]["at"] < looks[1]["at"] < looks[2]["at"]


async def test_it_ends_when_nobody_reads_any_more(settings: Settings) -> None:
    """As with `| head -n 1`."""
    reading, writing = os.pipe()
    async with monitoring(settings, "--interval", "0.1", stdout=writing) as process:
        os.close(writing)
        await asyncio.to_thread(os.read, reading, 1)
        os.close(reading)
        assert await ended(process) == (0, b"")


async def test_on_a_terminal_it_draws_the_screen_anew(settings: Settings) -> None:
    ours, its = pty.openpty()
    async with monitoring(settings, "--interval", "0.1", stdout=its) as process:
        os.close(its)
        drawn = b""
        while drawn.count(b"\x1b[2J") < 3:
            drawn += await asyncio.to_thread(os.read, ours, 65536)
        process.send_signal(signal.SIGINT)
        assert await ended(process) == (0, b"")
        os.close(ours)
    assert b"Drive on " in drawn.split(b"\x1b[2J")[1]


def a_report(*processes: Process, clients: Sequence[Named] = ()) -> Report:
    return Report(
        at=datetime.now(UTC),
        host="here",
        processes=list(processes),
        database=Server(5, list(clients), 1, 100),
        redis=None,
        backlog=Backlog(),
        listeners=[],
    )


@pytest.mark.parametrize(("connections", "cap", "count"), [(2, 2, 0), (3, 2, 1), (300, None, 0)])
def test_grpc_connections_are_held_against_their_cap(connections: int, cap: int | None, count: int) -> None:
    process = Process(1, "serve", "drive-serve@here:1", grpc=[EndpointConnections("http://pass", connections, cap)])
    exceeded = a_report(process).exceeded
    assert [(one.what, one.connections, one.setting) for one in exceeded] == [
        ("http://pass", connections, "DRIVE_GRPC_MAX_CONNECTIONS")
    ] * count


def test_where_nothing_runs_the_screen_says_so() -> None:
    assert "No drive serve and no drive worker runs on this machine." in lines(a_report())


def test_names_cannot_move_the_cursor() -> None:
    """Anybody who may connect to PostgreSQL chooses one."""
    shown = "\n".join(lines(a_report(clients=[Named("\x1b[2J\nevil", 1, is_ours=False)])))
    assert "\x1b" not in shown
    assert "[2J evil" in shown


async def test_a_process_of_another_user_is_shown_with_what_may_be_known(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, to whom nothing is forbidden: the refusal is made up."""

    def refused(_pid: int) -> linux.Memory:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(linux, "memory", refused)
    async with serving_metrics(settings) as (serve, _):
        await serve.api.upload(b"content")
        seen = await Monitor(settings, []).look()
        (process,) = (one for one in seen.processes if one.pid == serve.pid)
    assert (process.memory, process.grpc) == (None, None)
    assert process.database_connections == 1
    assert "not permitted" in (process.problem or "")
    assert f"{serve.pid}: not permitted: run as the same user, or as root" in list(lines(seen))


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("/venv/bin/python /venv/bin/drive serve", "serve"),
        ("python3.11 -X dev -m drive worker --once", "worker"),
        ("drive serve --settings drive.toml", "serve"),
        ("python -m drive demo", None),
        ("python -m drive", None),
        ("python manage.py drive serve", None),
        ("python -c drive serve", None),
        ("vim drive serve", None),
        ("grep -r drive serve", None),
    ],
)
def test_processes_are_told_by_their_command_line(command: str, role: str | None) -> None:
    assert role_of(command.split()) == role


def test_a_name_fits_what_postgresql_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """63 bytes, whatever the host is called, and no spaces, which Redis refuses."""
    host = type(os.uname())(("Linux", "höst name " * 10, "6", "1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: host)
    name = client_name("serve")
    assert name.startswith("drive-serve@h_st_name_")
    assert name.endswith(f":{os.getpid()}")
    assert len(name.encode()) == 63


def test_addresses_are_read_as_the_kernel_writes_them() -> None:
    assert linux._address("0100007F:1389") == ("127.0.0.1", 5001)
    assert linux._address("0000000000000000FFFF00000100007F:1389") == ("127.0.0.1", 5001)
    assert linux._address("B80D0120000000000000000001000000:0050") == ("2001:db8::1", 80)


def test_only_connections_that_are_established_count() -> None:
    """Not a port that is listened on, nor one whose other end has closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address), socket.create_connection(address) as half_closed:
            accepted, hung_up = listening.accept()[0], listening.accept()[0]
            with accepted:
                hung_up.close()
                assert half_closed.recv(1) == b""
                assert linux.tcp_peers(os.getpid())[address] == 1
    assert linux.tcp_peers(os.getpid())[address] == 0


def test_children_that_a_process_forks_are_none_of_their_own(tmp_path: Path) -> None:
    """As the one that checks the wiring: it has the same command line."""
    program = tmp_path / "drive"
    program.write_text("import os\nos.fork()\nos.write(1, b'%d\\n' % os.getpid())\nos.read(0, 1)\n")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, program, "serve"], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        pids = {int(process.stdout.readline()) for _ in range(2)}
        found = {one.pid for one in linux.drive_processes()}
        process.communicate()
    assert process.pid in pids
    assert found & pids == {process.pid}
