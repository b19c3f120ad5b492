"""The classes that every framework builds. Annotated, since some of them read that."""

from collections.abc import AsyncIterator


class Leaf:
    """Depends on nothing."""


class Middle:
    """Depends on a leaf."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf


class Top:
    """Depends on a middle: three deep."""

    def __init__(self, middle: Middle) -> None:
        self.middle = middle


class Service:
    """Is made once."""


class Pool:
    """Is opened by awaiting, once."""


async def open_pool() -> Pool:
    """Open a pool, as Once wants it."""
    return Pool()


async def close_pool(_pool: Pool) -> None:
    """Close a pool."""


async def pool_resource() -> AsyncIterator[Pool]:
    """Open a pool, and close it after the yield, as the others want it."""
    yield Pool()


class Accounts:
    """Is replaced in a test."""


class FakeAccounts(Accounts):
    """Stands in for it."""


class Client:
    """Holds what is replaced."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts


class Files:
    """Holds it at one remove."""

    def __init__(self, client: Client) -> None:
        self.client = client
