"""Packages of npm, for programs that tests run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

# Network failures by npm's own codes: any other failure of the installation is a failure of the tests.
_UNREACHABLE = re.compile(
    r"npm error code (E(?:AI_AGAIN|CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|NOTFOUND|TIMEDOUT)|FETCH_ERROR)"
)
_OPTIONS = "--ignore-scripts --no-audit --no-fund --fetch-timeout=10000 --fetch-retries=1 --fetch-retry-mintimeout=1000"
_TIMEOUT_S = 60


def installed(source: Path, folder: Path) -> Path:
    """Copy a program to a folder that is new, with what it needs; skip the test where npm cannot be asked for that."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} to run {source.name} with")
    shutil.copytree(source, folder)
    command = ["npm", "ci", *_OPTIONS.split()]
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not install {source.name} within {_TIMEOUT_S} s: its registry is slow")
    if unreachable := _UNREACHABLE.search(ran.stderr):
        pytest.skip(f"npm cannot reach its registry to install {source.name} ({unreachable[1]})")
    assert ran.returncode == 0, ran.stderr
    return folder
