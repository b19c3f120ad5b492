"""What an import costs, seen from the process that does it. Imports nothing that would make it look cheaper."""

import importlib
import os
import time


def imported(before: list[str], names: list[str]) -> tuple[float, float]:
    """Import `before`, then return the milliseconds and the KiB of memory that importing `names` takes."""
    for name in before:
        importlib.import_module(name)
    memory_bytes, started = resident_bytes(), time.perf_counter()
    for name in names:
        importlib.import_module(name)
    took_s = time.perf_counter() - started
    return took_s * 1000, (resident_bytes() - memory_bytes) / 1024


def resident_bytes() -> int:
    """Return the memory that this process has in use; the most that it ever had where the system does not tell."""
    import resource

    if not os.path.exists("/proc/self/statm"):  # noqa: PTH110 - pathlib would be measured as well
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - as above
        return int(file.read().split()[1]) * resource.getpagesize()
