"""`drive audit`, as an operator runs it."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from audit_support import PASS, RING, Record, as_json, closing, creating, listening, moment, reopening, stopping, write
from support.process import DRIVE, drive, environment, serving, until

from drive.settings import Settings

START = listening(21254, 0, started_s=-0.5)
CLEAN = [
    START,
    creating(21254, 1, PASS),
    creating(21254, 2, RING),
    closing(21254, 5, PASS),
    reopening(21254, 7, PASS),
    stopping(21254, 8),
    closing(21254, 9, PASS, "shutdown"),
    closing(21254, 9, RING, "shutdown"),
]
TWICE = [START, creating(21254, 1), creating(21254, 2)]

SHOWN = """\
PROCESS      ENDPOINT                    CREATED  WHEN                  AFTER START  BY           REOPENED  CLOSED              CONNECTIONS
serve 21254  pass http://127.0.0.1:5001  1        2026-11-24 03:58:06Z  1.5 s        AuthService  1         1 idle, 1 shutdown  2
serve 21254  ring http://127.0.0.1:5002  1        2026-11-24 03:58:07Z  2.5 s        AuthService  0         1 shutdown          2

1 process, 2 channels created, 0 findings. {size} read.
"""  # noqa: E501 - as it is shown


async def test_a_clean_log_exits_with_0_and_shows_each_endpoint(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", CLEAN)
    finished = await drive("audit", str(file), "--expect", "pass=1,ring=1")
    assert (finished.status, finished.stderr) == (0, "")
    assert finished.stdout == SHOWN.format(size=f"{file.stat().st_size / 1024:.1f} KiB")


async def test_findings_exit_with_1_and_are_shown_as_compilers_do(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", TWICE)
    finished = await drive("audit", str(file))
    assert (finished.status, finished.stderr) == (1, "")
    assert f"\n{file}:3: created twice: {PASS} was created for the second time by serve 21254\n" in finished.stdout


async def test_a_log_that_cannot_be_read_exits_with_2(tmp_path: Path) -> None:
    finished = await drive("audit", str(tmp_path / "absent.log"))
    assert finished.status == 2
    assert finished.stderr == f"drive audit: {tmp_path / 'absent.log'}: No such file or directory\n"


async def test_a_log_of_nothing_but_cut_lines_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text(f"{as_json(creating(1, 0))[:-9]}\n")
    finished = await drive("audit", str(file))
    assert finished.status == 2
    assert f"1 line cut or changed, and left out; the first is {file}:1\n" in finished.stdout


async def test_a_log_of_another_program_is_clean_and_says_that_there_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "other.log"
    file.write_text("nothing of ours\n")
    finished = await drive("audit", str(file))
    assert (finished.status, finished.stdout) == (0, "No line of `drive serve` or `drive worker` in 16 bytes.\n")


def piped(text: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*DRIVE, "audit", *arguments], input=text, capture_output=True, check=False, env=environment(), timeout=60
    )


@pytest.mark.parametrize("arguments", [[], ["-"], ["--follow"]])
def test_stdin_is_read_to_its_end(arguments: list[str]) -> None:
    finished = piped("".join(f"{as_json(record)}\n" for record in TWICE).encode(), *arguments)
    assert finished.returncode == 1
    assert b"stdin:3: created twice" in finished.stdout


async def test_json_has_all_there_is_to_know(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", [*CLEAN, creating(21254, 10, RING)])
    finished = await drive("audit", "--json", str(file))
    told = json.loads(finished.stdout)
    assert (finished.status, told["status"]) == (1, 1)
    assert told["findings"][0] == {
        "kind": "created_twice",
        "file": str(file),
        "line": 9,
        "at": moment(10),
        "endpoint": RING,
        "pid": 21254,
        "source": str(file),
        "message": f"{RING} was created for the second time by serve 21254",
    }
    (process,) = told["processes"]
    assert process["channels"][0] == {
        "endpoint": PASS,
        "settings": [name for name in process["channels"][0]["settings"] if name != "ring"],
        "created": 1,
        "created_at": moment(1),
        "after_start_s": 1.5,
        "service": "AuthService",
        "reopened": 1,
        "closed": {"idle": 1, "shutdown": 1},
        "open": 0,
        "max_connections": 2,
    }
    assert (process["kind"], process["pid"], process["has_ended"]) == ("serve", 21254, True)
    assert (process["started_at"], process["ready_at"], process["stopped_at"]) == (moment(-0.5), moment(0), moment(8))
    assert (told["unreadable_lines"], told["problems"], told["files"]) == (0, [], [str(file)])


async def test_the_settings_say_what_is_right(tmp_path: Path) -> None:
    """In the file, in the environment: an endpoint of one's own, another cap."""
    file = write(tmp_path / "app.log", [START, creating(21254, 1, "https://pass.internal:443", max_connections=3)])
    settings = tmp_path / "drive.toml"
    settings.write_text('pass_endpoint = "https://pass.internal"\n')
    assert (await drive("audit", str(file))).status == 1
    finished = await drive(
        "audit", "--settings", str(settings), str(file), env=environment(DRIVE_GRPC_MAX_CONNECTIONS="3")
    )
    assert (finished.status, "pass https://pass.internal:443" in finished.stdout) == (0, True)


WRONG = {
    "--expect": (["--expect", "pass"], "'pass' is no NAME=N"),
    "--expect of a stranger": (["--expect", "psas=1"], "--expect: there is no client psas: pass, "),
    "--since": (["--since", "yesterday"], "--since: 'yesterday' is neither a time such as 2h"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_arguments_exit_with_2_and_say_what_is_right(case: str) -> None:
    arguments, message = WRONG[case]
    finished = await drive("audit", *arguments)
    assert (finished.status, finished.stdout) == (2, "")
    assert message in finished.stderr


async def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", TWICE)
    assert (await drive("audit", "--since", "2026-11-24T00:00:00", str(file))).status == 1
    for since in ("2026-11-24T12:00:00Z", "2026-11-24T05:58:08+01:00"):
        finished = await drive("audit", "--since", since, str(file))
        assert (finished.status, finished.stdout[:7]) == (0, "No line")


async def test_the_timeline_is_a_picture_without_anything_that_the_log_could_smuggle_in(tmp_path: Path) -> None:
    evil = creating(21254, 3, "http://x/<script>&\"'\x07")
    file, picture = write(tmp_path / "app.log", [*CLEAN, evil]), tmp_path / "out.svg"
    assert (await drive("audit", str(file), "--timeline", str(picture))).status == 1
    root = ET.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    names = [one.tag.rpartition("}")[2] for one in root.iter()]
    assert "script" not in names
    classes = [one.get("class") for one in root.iter()]
    assert (classes.count("life"), classes.count("created")) == (3, 3)
    assert classes.count("open") == 4  # pass twice; ring; and the third, which is open still
    assert "found" in classes


async def test_a_picture_of_nothing_is_one_too_and_a_folder_that_is_absent_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", [])
    assert (await drive("audit", str(file), "--timeline", str(tmp_path / "out.svg"))).status == 0
    assert "Nothing with a timestamp" in (tmp_path / "out.svg").read_text()
    finished = await drive("audit", str(file), "--timeline", str(tmp_path / "absent" / "out.svg"))
    assert (finished.status, "cannot be written" in finished.stderr) == (1, True)


async def on_terminal(*arguments: str) -> tuple[bytes, bytes]:
    """Run the command with stderr on a terminal; return stdout and what the terminal got."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *DRIVE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=theirs, env=environment()
    )
    os.close(theirs)
    stdout, _ = await process.communicate()
    try:
        shown = os.read(ours, 1 << 20)
    except OSError:  # nothing was ever written
        shown = b""
    os.close(ours)
    return stdout, shown


async def test_progress_is_shown_on_a_terminal_and_erased(tmp_path: Path) -> None:
    """Where it takes long enough; stdout never sees it."""
    file = tmp_path / "large.log"
    file.write_bytes((f"{as_json(creating(1, 1))}\n" * 60_000).encode())
    stdout, shown = await on_terminal("audit", str(file), "--json")
    assert json.loads(stdout)["processes"][0]["channels"][0]["created"] == 60_000
    assert b"% of" in shown
    assert shown.endswith(b"\r\x1b[K")
    assert (await on_terminal("audit", str(write(tmp_path / "small.log", CLEAN))))[1] == b""


class Follower:
    """A running `drive audit --follow`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def told(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.lines), f"it tells {text!r}")


@asynccontextmanager
async def following(*arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> AsyncIterator[Follower]:
    process = await asyncio.create_subprocess_exec(
        *DRIVE, "audit", "--follow", *arguments, stdin=stdin, stdout=asyncio.subprocess.PIPE, env=environment()
    )
    follower = Follower(process)
    reading = asyncio.create_task(follower.read())
    try:
        yield follower
    finally:
        if process.returncode is None and not reading.done():
            process.kill()
        await process.wait()
        await reading


def append(file: Path, *records: Record) -> None:
    with file.open("a") as stream:
        stream.write("".join(f"{as_json(record)}\n" for record in records))


async def ended(follower: Follower, number: signal.Signals = signal.SIGINT) -> int:
    follower.process.send_signal(number)
    status = await follower.process.wait()
    await until(lambda: any("read." in line for line in follower.lines), "it reports")
    return status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_following_tells_findings_as_they_come_and_reports_at_the_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = write(tmp_path / "app.log", [START, creating(1, 1, RING)])
    async with following(str(file)) as follower:
        append(file, creating(21254, 1), creating(21254, 2))
        await follower.told(f"{file}:4: created twice")
        with file.open("a") as stream:
            half = as_json(creating(21254, 3))
            stream.write(half[:50])
            stream.flush()
            stream.write(half[50:] + "\n")
        await follower.told(f"{file}:5: created twice")
        assert await ended(follower, number) == 1
    assert sum(f"{file}:4: created twice" in line for line in follower.lines) == 2  # as it came, and in the report


async def test_following_goes_on_in_the_file_that_takes_the_name(tmp_path: Path) -> None:
    """Also where the old one is emptied in its place."""
    file = write(tmp_path / "app.log", [START, creating(21254, 1), creating(21254, 1.5)])
    async with following(str(file)) as follower:
        await follower.told(f"{file}:3: created twice")
        file.rename(tmp_path / "app.log.1")
        write(file, [closing(21254, 2), creating(21254, 2)])
        await follower.told(f"{file}:2: created twice: {PASS} was created for the third time")
        write(file, [creating(21254, 3)])
        await follower.told(f"{file}:1: created twice: {PASS} was created for the 4th time")
        assert await ended(follower) == 1


SUCCESSORS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a folder": Path.mkdir,
    "a link to itself": lambda name: name.symlink_to(name),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", SUCCESSORS)
async def test_following_goes_on_in_the_old_file_where_its_name_is_taken_by_what_is_none(
    kind: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "app.log", TWICE)
    async with following(str(file)) as follower:
        await follower.told(f"{file}:3: created twice")
        old = file.rename(tmp_path / "app.log.1")
        SUCCESSORS[kind](file)
        append(old, creating(21254, 3))
        await follower.told(f"{file}:4: created twice")
        assert await ended(follower) == 1


async def test_what_is_packed_cannot_be_followed_and_does_not_pass_for_clean() -> None:
    finished = piped(gzip.compress(as_json(START).encode()), "--follow")
    assert finished.returncode == 2
    assert finished.stderr == b"drive audit: -: it is no text, and cannot be followed\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only there /proc tells what a process does")
@pytest.mark.parametrize("arguments", [[], ["--follow"]])
async def test_the_waiting_for_whoever_writes_to_a_pipe_ends_with_ctrl_c(arguments: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = await asyncio.create_subprocess_exec(*DRIVE, "audit", *arguments, str(pipe), env=environment())
    try:
        await until(lambda: waits(process.pid), "it has imported all, and waits")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def waits(pid: int) -> bool:
    """Tell whether an audit has begun, and all of its threads sleep."""
    stats = [task.joinpath("stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    has_begun = "_sqlite3" in Path(f"/proc/{pid}/maps").read_text()
    return has_begun and all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


async def test_a_closing_that_may_still_come_is_no_finding_while_it_is_followed(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", [START, creating(21254, 1), stopping(21254, 2), creating(7, 1, "http://mark:1")])
    async with following(str(file)) as follower:
        await follower.told("endpoint that no setting names")
        assert not any("never closed" in line for line in follower.lines)
        append(file, closing(21254, 2.5, reason="shutdown"))
        assert await ended(follower) == 1
    assert not any("never closed" in line for line in follower.lines)


async def test_a_followed_stdin_tells_before_it_ends(tmp_path: Path) -> None:
    """With --json, a finding a line and the report in the last."""
    async with following("--json", stdin=asyncio.subprocess.PIPE) as follower:
        assert follower.process.stdin is not None
        follower.process.stdin.write("".join(f"{as_json(record)}\n" for record in TWICE).encode())
        await follower.told("created_twice")
        follower.process.stdin.close()
        assert await follower.process.wait() == 1
    told = [json.loads(line) for line in follower.lines]
    assert [told[0]["kind"], told[-1]["status"]] == ["created_twice", 1]


async def logged(settings: Settings, content: bytes, **variables: str) -> str:
    """Run a service for an upload, and return what it logs."""
    async with serving(settings, **variables) as serve:
        await serve.api.upload(content)
        await serve.stop()
        return "".join(f"{json.dumps(line)}\n" for line in serve.service.lines)


async def test_a_real_service_passes(settings: Settings, tmp_path: Path) -> None:
    """It says when it began, so that what it opens before it listens is found."""
    lazy, eager = tmp_path / "lazy.log", tmp_path / "eager.log"
    lazy.write_text(await logged(settings, b"content"))
    finished = await drive("audit", str(lazy), "--expect", "pass=1,ring=1", env=environment(settings))
    assert (finished.status, "2 channels created, 0 findings" in finished.stdout) == (0, True), finished.stdout

    eager.write_text(await logged(settings, b"other content", DRIVE_OPEN_AT_START="true"))
    finished = await drive("audit", "--json", str(eager), env=environment(settings))
    kinds: list[Any] = [finding["kind"] for finding in json.loads(finished.stdout)["findings"]]
    assert (finished.status, set(kinds)) == (1, {"not_lazy"})


async def test_a_real_worker_passes(settings: Settings) -> None:
    """It tells its start and its end, also with --once."""
    worked = await drive("worker", "--once", env=environment(settings))
    finished = piped(worked.stdout.encode(), "--json")
    (process,) = json.loads(finished.stdout)["processes"]
    assert (finished.returncode, process["kind"], process["has_ended"]) == (0, "worker", True)
    assert process["started_at"] < process["ready_at"] < process["stopped_at"]


def test_other_commands_import_nothing_of_it() -> None:
    code = (
        "import sys; from drive.cli import _parser; _parser(['serve']); print([m for m in sys.modules if 'audit' in m])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment())
    assert told.stdout == b"[]\n"
