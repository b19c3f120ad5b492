"""schemathesis asks the service for whatever its OpenAPI document allows, and for what it does not.

Here in short: the document's examples, and a few requests that are made up. scripts/fuzz lets it ask in all its ways.
"""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.process import Serve, serving

from drive.peers import TOKENS
from drive.settings import Settings

HERE = Path(__file__).parent
PROGRAM = Path(__file__).parents[2] / ".venv-tools/bin/schemathesis"
MANY = "DRIVE_TEST_FUZZ_EXAMPLES"
"""How many requests are made up for each operation and way of making them up."""
OPTIONS = (
    [f"--max-examples={os.environ[MANY]}", f"--seed={os.environ['DRIVE_TEST_FUZZ_SEED']}"]
    if MANY in os.environ
    else ["--phases=examples,fuzzing", "--max-examples=2", "--seed=1"]
)


async def schemathesis(serve: Serve, folder: Path) -> tuple[int, str]:
    """Let it ask, and return its exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "--config-file",
        HERE / "schemathesis.toml",
        "run",
        f"{serve.url}/openapi.json",
        "--checks=all",
        "--generation-database=none",
        "--no-color",
        *OPTIONS,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "DRIVE_TOKEN": TOKENS["plain"], "DRIVE_HOOKS": str(HERE / "hooks.py")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.timeout(0)
async def test_every_answer_is_what_the_document_says(settings: Settings, tmp_path: Path) -> None:
    """Nothing fails, nothing wrong is taken, nothing right is refused, and nothing answers what is not written."""
    settings = replace(settings, quota_base_mib=1_000_000, quota_price_per_gib="10")
    async with serving(settings) as serve:
        status, said = await schemathesis(serve, tmp_path)
        assert serve.lines("Request failed") == []
    print(said)  # noqa: T201 - shown where it fails
    assert status == 0
