"""`drive serve` with `DRIVE_GRPC_LISTEN`, as an operator runs it."""

import asyncio
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from rpc_support import connected, refused
from support.process import Serve, drive, environment, serving, until
from support.rows import Rows, add_files
from support.waiting import eventually

from drive.proto import file_pb2 as wire
from drive.settings import Settings, SettingsError, load

TOKEN = "a-token-of-at-least-32-characters-length"
REQUEST = wire.GetFileRequest(id="file-1")
METADATA = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Serve HTTP and gRPC, each on a free port."""
    return replace(settings, http_listen="127.0.0.1:0", grpc_listen="127.0.0.1:0", grpc_tokens=TOKEN)


async def grpc_url(serve: Serve) -> str:
    await until(lambda: len(serve.lines("Listening")) == 2, "it says where it answers gRPC")
    line = serve.lines("Listening")[1]
    assert (line["protocol"], line["pid"]) == ("gRPC", serve.pid)
    return str(line["url"])


async def test_one_process_answers_both(settings: Settings, rows: Rows) -> None:
    await add_files(rows, 1)
    async with serving(settings) as serve:
        async with connected(await grpc_url(serve)) as rpc:
            assert (await rpc.files.GetFile(REQUEST, metadata=METADATA)).name == "file 1"
            assert (await refused(rpc.files.GetFile(REQUEST)))[0] is StatusCode.UNAUTHENTICATED
            await rpc.files.DeleteFile(wire.DeleteFileRequest(id="file-1"), metadata=METADATA)
        await until(lambda: serve.lines("File deleted") != [], "it says what was deleted")
        (deleted,) = serve.lines("File deleted")
        assert deleted["file_id"] == "file-1"
        assert deleted["request_id"]
        assert (await serve.api.signed_in_as(None).get("/health")).json["parts"]["database"] == "reachable"
        assert await serve.stop() < 6
        assert [line["event"] for line in serve.service.lines if line.get("level") in {"error", "warning"}] == []


async def test_a_stop_does_not_wait_for_a_call_that_never_ends(settings: Settings, rows: Rows) -> None:
    await add_files(rows, 1)
    async with serving(settings) as serve, connected(await grpc_url(serve)) as rpc:
        await rpc.files.GetFile(REQUEST, metadata=METADATA)
        watch = rpc.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with rows.transaction():
            await rows.execute("lock table files")
            call = asyncio.create_task(refused(rpc.files.GetFile(REQUEST, metadata=METADATA)))
            waits = "select count(*) from pg_locks where not granted"

            async def is_waiting() -> bool:
                return bool(await rows.fetchval(waits))

            await eventually(is_waiting)
            assert await serve.stop(signal.SIGINT) < 6
            assert (await call)[0] in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.UNKNOWN}
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_port_that_is_taken_is_said_so(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = await drive("serve", env=environment(replace(settings, grpc_listen=listen)))
    assert finished.status == 1
    assert finished.stderr.endswith(
        f"drive serve: Cannot serve gRPC: Cannot listen on {listen}. "
        f"Stop what uses {listen}, or set DRIVE_GRPC_LISTEN to another.\n"
    )


@pytest.mark.parametrize("command", ["serve", "validate"])
async def test_certificates_that_cannot_be_used_are_found_before_anything_is_served(
    settings: Settings, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "absent.pem"
    wrong = replace(settings, grpc_server_cert_file=file, grpc_server_key_file=file)
    finished = await drive(command, env=environment(wrong))
    assert (finished.status, finished.stdout) == (2, "")
    assert f"The gRPC server cannot use {file}" in finished.stderr
    assert "No such file" in finished.stderr


async def test_the_wiring_with_grpc_is_in_order(settings: Settings) -> None:
    finished = await drive("validate", env=environment(settings))
    assert (finished.status, finished.stderr) == (0, "")


async def test_without_the_setting_nothing_of_it_is_imported() -> None:
    script = """
import sys
from drive.app import create_app
from drive.containers import Container
from drive.settings import Settings
create_app(Container(settings=Settings()))
print(sorted(name for name in sys.modules if name.startswith(("grpc", "google", "drive.rpc", "drive.files.catalog"))))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await process.communicate()
    assert stdout.decode().strip() == "[]"


FILES = {"DRIVE_GRPC_SERVER_CERT_FILE": "/cert.pem", "DRIVE_GRPC_SERVER_KEY_FILE": "/key.pem"}
CA, TOKENS = {"DRIVE_GRPC_CLIENT_CA_FILE": "/ca.pem"}, {"DRIVE_GRPC_TOKENS": TOKEN}


def problems(environ: dict[str, str]) -> list[str]:
    try:
        load(environ)
    except SettingsError as error:
        return error.problems
    return []


class TestSettings:
    """What is served to other machines needs authentication, and tokens need TLS."""

    @pytest.mark.parametrize("listen", ["127.0.0.1:5001", "127.8.8.8:0", "[::1]:5001", "localhost:5001"])
    @pytest.mark.parametrize("more", [{}, TOKENS, FILES, FILES | CA, FILES | CA | TOKENS])
    def test_on_this_machine_everything_goes(self, listen: str, more: dict[str, str]) -> None:
        assert problems({"DRIVE_GRPC_LISTEN": listen} | more) == []

    @pytest.mark.parametrize("listen", ["0.0.0.0:5001", "[::]:5001", "10.0.0.1:5001", "drive.internal:5001"])
    @pytest.mark.parametrize(
        ("more", "is_fine"),
        [
            ({}, False),
            (FILES, False),
            (TOKENS, False),
            (FILES | TOKENS, True),
            (FILES | CA, True),
            (FILES | CA | TOKENS, True),
        ],
    )
    def test_for_others_not(self, listen: str, more: dict[str, str], is_fine: bool) -> None:
        found = problems({"DRIVE_GRPC_LISTEN": listen} | more)
        assert (found == []) is is_fine
        assert all(f"gRPC on {listen} can be reached from other machines" in problem for problem in found)
        assert all("Write DRIVE_GRPC_" in problem for problem in found)

    @pytest.mark.parametrize(
        "environ",
        [
            {"DRIVE_GRPC_LISTEN": "5001"},
            {"DRIVE_GRPC_LISTEN": "127.0.0.1:70000"},
            {"DRIVE_GRPC_TOKENS": "short"},
            {"DRIVE_GRPC_TOKENS": f"{TOKEN},short"},
            {"DRIVE_GRPC_TOKENS": f"{TOKEN},"},
            {"DRIVE_GRPC_TOKENS": "ü" * 40},
            {"DRIVE_GRPC_TOKENS": "two words " * 10},
            {"DRIVE_GRPC_REFLECTION": "yes"},
            {"DRIVE_GRPC_SERVER_CERT_FILE": "/cert.pem"},
            {"DRIVE_GRPC_SERVER_KEY_FILE": "/key.pem"},
            CA,
        ],
    )
    def test_what_is_wrong_is_named_and_no_token_is_shown(self, environ: dict[str, str]) -> None:
        (problem,) = problems(environ)
        assert "DRIVE_GRPC_" in problem
        assert TOKEN not in problem

    @pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), (" TRUE ", True)])
    def test_a_boolean(self, text: str, value: bool, tmp_path: Path) -> None:
        assert load({"DRIVE_GRPC_REFLECTION": text}).grpc_reflection is value
        file = tmp_path / "drive.toml"
        file.write_text(f"grpc_reflection = {str(value).lower()}\n")
        assert load({}, file=file).grpc_reflection is value
        file.write_text("grpc_tokens = true\n")
        with pytest.raises(SettingsError, match="grpc_tokens"):
            load({}, file=file)

    def test_several_tokens_and_none_of_them_in_the_repr(self) -> None:
        settings = load({"DRIVE_GRPC_TOKENS": f"{TOKEN}, {TOKEN}2"})
        assert TOKEN not in repr(settings)
