"""Check the container before `serve` or `worker` start, at no cost to the process that goes on."""

import os
import signal
import sys
from typing import NoReturn

from drive.cli.errors import CommandError, report
from drive.containers import Container
from drive.errors import DriveError

_IS_WRONG = 2


def refuse_if_wrong(command: str, container: Container) -> None:
    """Exit with status 2, and a report on stderr, if something is wrong with the container.

    The check runs in a child: what it imports and builds would stay in this process, and add 0.65 MiB to its idle
    memory. Call it before there is a thread, an event loop or gRPC: none of them survives a fork.

    Raises:
        CommandError: the child came to no result.

    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # each is None where it is closed
        stream.flush()  # what is left in a buffer is copied to the child, and could be written twice
    child = os.fork()
    if child == 0:
        _check_and_exit(command, container)
    _, how_it_ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(how_it_ended)
    if status == _IS_WRONG:
        sys.exit(status)
    if status != 0:
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else "failed, for the reason above"
        raise CommandError(f"The check of the container {how}. Repeat it alone with: drive validate")


def _check_and_exit(command: str, container: Container) -> NoReturn:
    """Check, say what is wrong, and exit here: whatever happens, the parent's code must not run twice."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the parent's to report
        status = _check(command, container)
    except BaseException:  # noqa: BLE001 - a defect of the check; os._exit would hide it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)  # stderr, which writes each line at once, has nothing left to flush


def _check(command: str, container: Container) -> int:
    from drive.cli.validate import check

    try:
        check(container, importing=False)  # what no setting can change, `drive validate` has checked
    except DriveError as error:
        report(command, error.message)
        return _IS_WRONG
    return 0
