"""On what something was measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("aiohttp", "grpcio", "asyncpg", "redis", "dependency-injector", "dishka", "that-depends", "wireup")


def machine() -> dict[str, str]:
    """Describe this machine, how busy it is, and the versions that count."""
    return {
        platform.python_implementation(): platform.python_version(),
        platform.system(): f"{platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _memory(),
        "load": f"{os.getloadavg()[0]:.1f}",
        **{package: _version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    return _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown"


def _memory() -> str:
    kib = _first("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kib) / 1024**2:.0f} GiB" if kib else "unknown"


def _first(file: str, key: str) -> str:
    """Return a value of one of Linux's files of keys and values; nothing on other systems."""
    if not Path(file).exists():
        return ""
    lines = Path(file).read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
