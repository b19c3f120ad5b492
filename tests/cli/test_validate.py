"""`drive validate`, and that `serve` and `worker` do not start with wiring that is wrong."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped] # its types are no dependency, for one function
import pytest
from support.process import Finished, drive, environment, serving

from drive.settings import Settings

ABSENT = "/nonexistent/ca.pem"
WRONG = {"DRIVE_GRPC_CA_FILE": ABSENT}
NOBODY = {
    "DRIVE_DATABASE_URL": "postgresql://drive@127.0.0.1:1/drive",
    "DRIVE_REDIS_URL": "redis://127.0.0.1:1/0",
    "DRIVE_PASS_ENDPOINT": "http://127.0.0.1:1",
    "DRIVE_RING_ENDPOINT": "http://127.0.0.1:1",
}

# A program that does what `serve` does around its check. Its first argument is the body of the function that gives the
# settings, which the check calls.
PROGRAM = """
import atexit, os, signal, sys
from dependency_injector.providers import Singleton
from drive.cli.errors import CommandError
from drive.cli.precheck import refuse_if_wrong
from drive.containers import Container
from drive.settings import Settings

def settings():
    exec(sys.argv[1])
    return Settings()

atexit.register(print, "at exit")
sys.stdout.write("before ")
sys.stderr.write("begun ")
try:
    refuse_if_wrong("serve", Container(settings=Singleton(settings)))
except CommandError as error:
    print(error)
print("after", "drive.lazy.validation" in sys.modules)
"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that counts who connects."""

    socket: socket.socket

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def was_connected_to(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Listener(listening)


def run_program(body: str) -> Finished:
    command = [sys.executable, "-c", PROGRAM, body]
    env = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    return Finished(ran.returncode, ran.stdout, ran.stderr)


async def test_it_says_that_all_is_in_order() -> None:
    finished = await drive("validate", env=environment(DRIVE_REALMS_ENDPOINT="http://realms:5001"))
    assert (finished.status, finished.stderr) == (0, "")
    words = finished.stdout.split()
    assert " ".join(words[:6]) == "The container is in order: " + words[5]
    assert int(words[5]) > 50
    assert words[6:] == ["providers,", "3", "endpoints."]  # pass, ring, and that one


async def test_it_connects_to_nothing(listener: Listener) -> None:
    """Neither to the database, nor to Redis, nor to an endpoint."""
    address = f"127.0.0.1:{listener.port}"
    finished = await drive(
        "validate",
        env=environment(
            DRIVE_DATABASE_URL=f"postgresql://drive@{address}/drive",
            DRIVE_REDIS_URL=f"redis://{address}/0",
            DRIVE_PASS_ENDPOINT=f"http://{address}",
            DRIVE_RING_ENDPOINT=f"http://{address}",
        ),
    )
    assert finished.status == 0
    assert not listener.was_connected_to()


@pytest.mark.parametrize("command", [["validate"], ["serve"], ["worker"], ["worker", "--once"]])
async def test_wrong_wiring_ends_the_command_with_2_and_all_that_is_wrong(command: list[str], tmp_path: Path) -> None:
    """Each problem with its way through the graph and what to do; nothing was started, nothing tried."""
    certificate = {"DRIVE_GRPC_CERT_FILE": str(tmp_path / "cert.pem"), "DRIVE_GRPC_KEY_FILE": str(tmp_path / "key.pem")}
    finished = await drive(
        *command, env=environment(None, DRIVE_HTTP_LISTEN="127.0.0.1:0", **NOBODY, **WRONG, **certificate)
    )
    assert (finished.status, finished.stdout) == (2, "")
    heading, *problems = finished.stderr.splitlines()
    assert heading == f"drive {command[0]}: The container has 3 problems:"
    for problem, file in zip(problems, [ABSENT, *certificate.values()], strict=True):
        path, _, rest = problem.partition(": ")
        assert path.endswith(" → channels")
        assert rest == f"the file {file} is missing. Put it there, or correct the setting"


@pytest.mark.parametrize("command", ["validate", "serve", "worker"])
async def test_settings_that_are_wrong_are_told_first(command: str) -> None:
    finished = await drive(command, env=environment(None, DRIVE_PASS_ENDPOINT="pass:5001", **WRONG))
    assert (finished.status, finished.stdout) == (2, "")
    assert finished.stderr.startswith(f"drive {command}: The settings are not usable:\n  DRIVE_PASS_ENDPOINT: ")
    assert "http://" in finished.stderr
    assert ABSENT not in finished.stderr


async def test_it_takes_a_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "drive.toml"
    file.write_text(f'grpc_ca_file = "{ABSENT}"\n')
    finished = await drive("validate", "--settings", str(file))
    assert finished.status == 2
    assert ABSENT in finished.stderr


def test_the_check_leaves_nothing_in_the_process_that_goes_on() -> None:
    """It goes on once, its buffers are written once, its exit handlers run once, and no module was imported for it."""
    finished = run_program("print('checking', file=sys.stderr); print('checking', flush=True)")
    assert finished == Finished(0, "before checking\nafter False\nat exit\n", "begun checking\n")


@pytest.mark.parametrize(
    "body",
    [
        "raise SystemExit(0)",
        "raise KeyboardInterrupt",
        "sys.stderr = open('/dev/full', 'w', buffering=1); raise BaseException",
    ],
)
def test_whatever_ends_the_check_only_the_parent_goes_on(body: str) -> None:
    finished = run_program(body)
    assert finished.status == 0
    assert finished.stdout.splitlines() == [
        "before The check of the container failed, for the reason above. Repeat it alone with: drive validate",
        "after False",
        "at exit",
    ]


def test_a_check_that_is_killed_is_told_with_the_signal() -> None:
    finished = run_program("os.kill(os.getpid(), signal.SIGKILL)")
    assert finished.stdout.splitlines() == [
        "before The check of the container was ended by SIGKILL. Repeat it alone with: drive validate",
        "after False",
        "at exit",
    ]
    assert finished.stderr == "begun "


def test_ctrl_c_ends_the_check_without_a_traceback() -> None:
    finished = run_program("os.kill(os.getpid(), signal.SIGINT)")
    assert "was ended by SIGINT" in finished.stdout
    assert finished.stderr == "begun "


async def test_no_child_is_left_once_serve_listens(settings: Settings) -> None:
    async with serving(settings) as serve:
        assert psutil.Process(serve.pid).children() == []


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_process_without_stderr_is_checked_all_the_same(command: str) -> None:
    """Its report is lost, its status not."""
    closing = f"exec {sys.executable} -m drive {command} 2>&-"
    ran = subprocess.run(
        ["sh", "-c", closing], timeout=60, check=False, env=environment(None, **WRONG), stdin=subprocess.DEVNULL
    )
    assert ran.returncode == 2
