"""A server, and first calls that can be held."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from lazy_support import Gate, Server, forget_imports, gates, serving, write_gated_module


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Give a running server of the test's own."""
    async with serving() as server:
        yield server


@pytest.fixture
def first_call() -> None:
    """Make the test's first call import gRPC as if it was the first of the process."""
    forget_imports()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_call: None) -> Iterator[Gate]:
    """Give a stub whose module is imported when the test opens the gate."""
    monkeypatch.syspath_prepend(str(tmp_path))
    gate = write_gated_module(tmp_path, f"gated_{uuid4().hex}")
    yield gate
    gate.open()
    del gates[gate.name]
    sys.modules.pop(gate.name, None)
