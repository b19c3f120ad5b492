"""Run a program under limits: `python -I limited.py MEMORY_BYTES CPU_S FILE_BYTES PARENT_PID PROGRAM ARGUMENT…`.

A program of its own, as the limits must hold before the other begins, and as little may be done between fork and exec
in a process with threads.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
_OPEN_FILES = 64


def main(memory_bytes: int, cpu_s: int, file_bytes: int, parent: int, program: list[str]) -> None:
    """Limit this process, and become the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we could ask
            sys.exit("the worker is gone")
    os.nice(_NICENESS)
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901 - what may be asked for
        resource.setrlimit(which, (most, most))
    os.execv(program[0], program)  # noqa: S606 - the worker chose the program


if __name__ == "__main__":
    _memory_bytes, _cpu_s, _file_bytes, _parent = map(int, sys.argv[1:5])
    main(_memory_bytes, _cpu_s, _file_bytes, _parent, sys.argv[5:])
