"""A command seen from outside. Imports little: what this process has counts as memory of the command."""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any


def ran(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a command to its end, for `measure.in_child`.

    Returns:
        `took_s`; `peak_mib`, of whichever of its processes had the most, and at least what this one has; `status`;
        `output`, both streams.

    """
    # To a file: where its output is /dev/null, grep stops at the first line that it finds.
    with tempfile.TemporaryFile() as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), stream) for stream in (1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawnp(command[0], [*command], environment, file_actions=actions)
        _, status, used = os.wait4(pid, 0)
        took_s = time.perf_counter() - began
        output.seek(0)
        said = output.read().decode(errors="replace")
    return {
        "took_s": took_s,
        "peak_mib": used.ru_maxrss / 1024,
        "status": os.waitstatus_to_exitcode(status),
        "output": said,
    }
