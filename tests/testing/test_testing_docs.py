"""The examples of docs/testing.md run as they stand, in the tests of a service that they were written for."""

import re
import textwrap
from pathlib import Path

import pytest

import drive.testing
from drive.testing import fixtures, plugin
from drive.testing.leaks import KINDS

TEXT = Path(__file__).parents[2].joinpath("docs/testing.md").read_text()

CONTAINERS = """
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Object, Singleton
    from grpc import StatusCode
    from grpc.aio import AioRpcError

    from drive.lazy import Channels, Stub
    from drive.proto.account_pb2 import GetAccountRequest

    class Greeter:
        def __init__(self, accounts, storage_path):
            self._accounts = accounts

        async def greet(self, account_id):
            try:
                account = await self._accounts.GetAccount(GetAccountRequest(id=account_id))
            except AioRpcError as error:
                assert error.code() is StatusCode.NOT_FOUND
                return "Hello, you"
            return f"Hello, {account.name}"

    class Container(DeclarativeContainer):
        url = Object("http://127.0.0.1:1")
        storage_path = Object(None)
        channels = Singleton(Channels)
        accounts = Stub("drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint=url)
        greeter = Singleton(Greeter, accounts, storage_path)
"""

IMPORTS = """
    import functools
    import unittest

    import asyncpg
    import pytest
    import redis
    from drive.lazy import lifespan, override
    from drive.proto.account_pb2 import Account, GetAccountRequest
    from drive.proto.account_pb2_grpc import AccountServiceServicer, AccountServiceStub
    from drive.testing import calls_of, fake, no_leaks, rpc_error, serving
    from grpc import StatusCode

    from package.containers import Container

    async def migrate(url):
        connection = await asyncpg.connect(url)
        await connection.execute("create table accounts (id text)")
        await connection.close()
"""


def examples() -> list[str]:
    """Return the indented blocks."""
    blocks = re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", TEXT, flags=re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


def test_the_examples_run(pytester: pytest.Pytester) -> None:
    configuration, *tests = examples()
    pytester.mkpydir("package").joinpath("containers.py").write_text(textwrap.dedent(CONTAINERS))
    settings = 'asyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"\npythonpath = ["."]\n'
    pytester.makepyprojecttoml(configuration + settings + 'filterwarnings = ["error"]\naddopts = "-p no:cacheprovider"')
    pytester.makepyfile("\n\n".join([textwrap.dedent(IMPORTS), *tests]))
    pytester.runpytest_subprocess("--strict-markers").assert_outcomes(passed=8)


@pytest.mark.parametrize("name", [name for name in drive.testing.__all__ if name[0].islower()])
def test_every_function_is_documented(name: str) -> None:
    assert f"{name}(" in TEXT


def test_every_fixture_is_documented() -> None:
    """But those that only serve the others."""
    inner = {"template_database_url", "shared_database_url", "_drive_leaks"}
    for module in (plugin, fixtures):
        defined = {name for name, one in vars(module).items() if type(one).__name__ == "FixtureFunctionDefinition"}
        assert defined
        assert [name for name in defined - inner if f"`{name}`" not in TEXT] == []


def test_every_kind_of_leak_is_documented() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?:an?|a TCP) ", TEXT.partition("## Leaks")[2], flags=re.MULTILINE) == list(
        KINDS
    )
