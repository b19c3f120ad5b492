"""What a child may do."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from support.waiting import eventually

from drive.media.children import ChildLimits, Ended, run_limited

LIMITS = ChildLimits(memory_mib=256, timeout_s=20.0)


async def run(folder: Path, code: str, limits: ChildLimits = LIMITS) -> Ended:
    return await run_limited([sys.executable, "-I", "-c", code], folder, limits)


async def test_a_child_sees_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variables nor open files; and it is not asked to be quick."""
    monkeypatch.setenv("DRIVE_DATABASE_URL", "postgresql://drive:secret@127.0.0.1/drive")
    code = (
        "import os, json; print(json.dumps([dict(os.environ), os.listdir('/proc/self/fd'), os.nice(0), os.getcwd()]))"
    )
    ours = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(ours, True)
    ended = await run(tmp_path, code)
    os.close(ours)
    variables, files, niceness, folder = json.loads(ended.output)
    assert set(variables) <= {"PATH", "LD_LIBRARY_PATH", "LC_CTYPE"}
    assert set(files) == {"0", "1", "2", "3"}  # the last is the listing itself
    assert niceness >= 10
    assert folder == str(tmp_path)


async def test_a_child_is_limited_in_all_it_could_use_up(tmp_path: Path) -> None:
    code = (
        "import resource, json; "
        "print(json.dumps({n: resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) "
        "for n in ('AS', 'CPU', 'FSIZE', 'CORE', 'NOFILE')}))"
    )
    told = json.loads((await run(tmp_path, code)).output)
    expected = {"AS": 256 * 1024**2, "CPU": 20, "FSIZE": 1024**3, "CORE": 0, "NOFILE": 64}
    assert told == {name: [most, most] for name, most in expected.items()}


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("bytearray(300 * 1024**2)", "failed with 1: "),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        ("raise SystemExit('no\\x1b luck')", "failed with 1: no  luck"),
        ("import time; time.sleep(60)", "took too long"),
        ("print('fine')", "failed with 0"),
    ],
)
async def test_how_a_child_ended_is_told(tmp_path: Path, code: str, how: str) -> None:
    limits = ChildLimits(memory_mib=256, timeout_s=2.0)
    assert str(await run(tmp_path, code, limits)).startswith(how)


async def test_a_child_that_only_computes_is_stopped_too(tmp_path: Path) -> None:
    """By the limit of its processor time, were the worker to forget it."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
    ended = await run(tmp_path, code)
    assert ended.was_ended
    assert ended.status in {-signal.SIGXCPU, -signal.SIGKILL}


async def test_what_a_child_says_is_bounded(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('x' * 10**7); sys.stderr.write('y' * 10**7)"
    ended = await run(tmp_path, code)
    assert len(ended.output) == 1024 * 1024
    assert len(ended.error) == 1024


async def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; "
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(one.pid, flush=True)"
    )
    ended = await run(tmp_path, code)
    await eventually(lambda: not _is_running(int(ended.output)))


async def test_a_child_ends_with_a_killed_worker(tmp_path: Path) -> None:
    """A worker that is killed cannot end it."""
    worker = (
        "import asyncio, sys; from pathlib import Path; from drive.media.children import *; "
        "asyncio.run(run_limited([sys.executable, '-I', '-c', "
        "'import os, time; print(os.getpid(), flush=True); time.sleep(60)'], Path(sys.argv[1]), ChildLimits(256, 60)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", worker, str(tmp_path))
    said = tmp_path / "stdout"
    try:
        await eventually(lambda: said.exists() and said.read_text().endswith("\n"))
        pid = int(said.read_text())
        assert _is_running(pid)
    finally:
        process.kill()
        await process.wait()
    await eventually(lambda: not _is_running(pid))


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
