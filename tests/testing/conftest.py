"""A generated service with a method of each arity."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from talk import Talk

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Compile talk.proto as a service's own protos are compiled, and import the result."""
    here, generated = Path(__file__).parent, tmp_path_factory.mktemp("generated")
    options = [f"-I{here}", f"--python_out={generated}", f"--grpc_python_out={generated}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, "talk.proto"], cwd=here, check=True)
    sys.path.insert(0, str(generated))
    try:
        return Talk(importlib.import_module("talk_pb2"), importlib.import_module("talk_pb2_grpc"))
    finally:
        sys.path.remove(str(generated))
