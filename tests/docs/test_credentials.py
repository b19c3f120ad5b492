"""Nothing that is committed lets anybody in anywhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written so that this file is none of what it finds.
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_TOKEN = re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bxox[baprs]-[\w-]{20,}")
# One that says that it is one, as examples do, is none.
_URL_WITH_PASSWORD = re.compile(
    r"\b(?:postgres(?:ql)?|rediss?|nats|amqp|https?)://[^\s/:@'\"{}<>]+:(?!\S*(?:password|secret))[^\s/@'\"{}<>$]{8,}@"
)


def committed() -> list[Path]:
    """Return the files of this repository; where it is no checkout, there is nothing to look at."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if listed.returncode != 0:
        pytest.skip("this is no checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def secrets_in(text: str) -> list[str]:
    """Return what looks like a private key, a key of a cloud, a token, or a password in an address."""
    found = [pattern.search(text) for pattern in (_KEY_BLOCK, _ACCESS_KEY, _TOKEN, _URL_WITH_PASSWORD)]
    return [match[0] for match in found if match]


def test_no_credentials_are_committed() -> None:
    texts = {path: path.read_text(errors="ignore") for path in committed() if path.is_file()}
    assert len(texts) > 100
    assert {str(path.relative_to(ROOT)): found for path, text in texts.items() if (found := secrets_in(text))} == {}


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "key = " + "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTYifQ." + "c2lnbmF0dXJlLi4u",
        "redis://admin:" + "correct-horse@cache/0",
    ],
)
def test_credentials_would_be_found(secret: str) -> None:
    assert secrets_in(f"a line\nsetting: {secret}\n")
