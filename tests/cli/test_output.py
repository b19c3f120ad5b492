"""What goes to stdout: JSON lines for machines, readable ones for people, and no harm where nobody takes them."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeAlias

import aiohttp
import msgspec
import psutil  # type: ignore[import-untyped] # its types are no dependency, for one function
import pytest
from support.api import Api
from support.process import DRIVE, drive, environment, serving, until

from drive import logs
from drive.settings import Settings


async def test_each_line_is_json_with_event_level_and_timestamp(settings: Settings) -> None:
    """Those of a failed request too, and nothing else gets between them."""
    async with serving(settings, DRIVE_DATABASE_URL="postgresql://drive@127.0.0.1:1/drive") as serve:
        assert (await serve.api.get("/api/files/me")).status == 503
        await serve.stop()
        events = [line["event"] for line in serve.service.lines]
        assert {"Listening", "Creating gRPC channel", "Database unreachable", "Request failed", "Stopping"} <= set(
            events
        )
        for line in serve.service.lines:
            assert line["level"] in {"info", "warning", "error"}, line
            timestamp = datetime.fromisoformat(line["timestamp"])
            assert abs((datetime.now(UTC) - timestamp).total_seconds()) < 300


async def on_terminal(*arguments: str, env: dict[str, str]) -> str:
    """Run a command whose stdout is a terminal, and return what is shown there."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(*DRIVE, *arguments, env=env, stdout=theirs)
    os.close(theirs)
    assert await process.wait() == 0
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


READABLE = re.compile(r"\d{4}-\d\d-\d\d\S+ \[info +\] Schema is up to date +applied=\[\]\s*")


async def test_a_terminal_gets_readable_lines(settings: Settings) -> None:
    assert READABLE.fullmatch(await on_terminal("migrate", env=environment(settings)))


async def test_the_format_can_be_set(settings: Settings) -> None:
    """JSON on a terminal, or readable lines in a file."""
    line = await on_terminal("migrate", env=environment(settings, DRIVE_LOG_FORMAT="json"))
    assert msgspec.json.decode(line)["event"] == "Schema is up to date"
    finished = await drive("migrate", env=environment(settings, DRIVE_LOG_FORMAT="console"))
    assert READABLE.fullmatch(re.sub(r"\x1b\[[0-9;]*m", "", finished.stdout))


async def test_the_log_level_leaves_out_what_is_below_it(settings: Settings) -> None:
    assert (await drive("migrate", env=environment(settings, DRIVE_LOG_LEVEL="info"))).stdout != ""
    assert (await drive("migrate", env=environment(settings, DRIVE_LOG_LEVEL="warning"))).stdout == ""


Sink: TypeAlias = Callable[[], AbstractContextManager[int]]


@contextmanager
def full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as full:
        yield full.fileno()


@contextmanager
def nobody_reading() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("stdout", [full_disk, nobody_reading])
async def test_log_lines_that_nobody_takes_fail_nothing_else(settings: Settings, stdout: Sink) -> None:
    """With its disk full or its reader gone, the service answers and ends in order all the same."""
    with stdout() as sink, TemporaryFile() as stderr:
        process = await asyncio.create_subprocess_exec(
            *DRIVE, "serve", env=environment(settings), stdout=sink, stderr=stderr
        )
        try:
            await until(lambda: listening_port(process.pid) is not None, "it listens")
            async with aiohttp.ClientSession() as session:
                api = Api(session, f"http://127.0.0.1:{listening_port(process.pid)}")
                assert (await api.upload(b"content"))["size"] == 7
        finally:
            process.terminate()
            status = await process.wait()
        assert status in ({0} if stdout is nobody_reading else {0, 120})  # 120: Python could not flush at its exit
        stderr.seek(0)
        assert "Traceback" not in stderr.read().decode()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_line_that_cannot_be_encoded_is_written_with_escapes(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logs must not fail for it. aiohttp makes lone surrogates of what is no UTF-8 in a header."""
    stdout = TextIOWrapper(BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    logs.write_line(logs._json({"event": "\u0436\udcff"}))
    logs.write_line("\u0436\udcff")
    line, readable = stdout.buffer.getvalue().decode().splitlines()
    assert json.loads(line) == {"event": "\u0436\udcff"}
    assert readable == r"\u0436\udcff"


def listening_port(pid: int) -> int | None:
    ports = [one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return ports[0] if ports else None
