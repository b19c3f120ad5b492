"""Programs of Node.js, installed by npm beside the environment that measures."""

import shutil
import subprocess
import sys
from pathlib import Path


class NotInstalledError(RuntimeError):
    """A program that cannot be had here, with the reason: what needs it is left out."""


def installed(source: Path) -> Path:
    """Return a copy of a folder that has a package-lock.json, with what that names installed.

    Raises:
        NotInstalledError: there is no npm, or it could not install it.

    """
    folder = Path(sys.prefix) / "npm" / source.name
    lock = "package-lock.json"
    if (folder / "done").exists() and (folder / lock).read_bytes() == (source / lock).read_bytes():
        shutil.copytree(source, folder, dirs_exist_ok=True)
        return folder
    if shutil.which("npm") is None:
        raise NotInstalledError("there is no npm; install Node.js, on Debian with: apt-get install npm")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise NotInstalledError(f"npm ci failed: {ran.stderr.strip().splitlines()[-1]}")
    (folder / "done").touch()
    return folder
