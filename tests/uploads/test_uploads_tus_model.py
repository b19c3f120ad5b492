"""Uploads by tus against a model of them: the bytes that were acknowledged, whatever breaks when."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from drive.clients.accounts import Account
from drive.containers import Container
from drive.errors import Code, DriveError, invalid
from drive.lazy import lifespan
from drive.peers import serve_peers
from drive.peers.seed import ADMIN_ID
from drive.settings import Settings
from drive.uploads.interfaces import CreateUpload, Task
from drive.uploads.tus_headers import Checksum

T = TypeVar("T")

REPLICAS = 2
CHUNK_BYTES = 8
MOST_BYTES = 40
ADMIN = Account(id=UUID(ADMIN_ID), name="admin", is_superuser=True)

PIECES = st.lists(st.integers(1, 12), max_size=6)
REPLICA = st.integers(0, REPLICAS - 1)


async def body(data: bytes, sizes: list[int], *, breaks_off: bool) -> AsyncIterator[bytes]:
    """Give bytes in pieces of these sizes, the rest in one; and at last what a connection that breaks does."""
    for size in [*sizes, len(data)]:
        await asyncio.sleep(0)
        if data:
            yield data[:size]
        data = data[size:]
    if breaks_off:
        raise invalid("body", "broke off")


class TusMachine(RuleBasedStateMachine):
    """One upload at a time, on replicas that are killed now and then; `self.arrived` is what must have arrived."""

    url = ""
    folder = Path()

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.random = random.Random(0)
        self.upload_id, self.content, self.arrived = "", b"", 0
        self.run(self.open())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def open(self) -> None:
        peers = await self.stack.enter_async_context(serve_peers())
        self.settings = Settings(
            database_url=self.url,
            storage_path=self.folder,
            upload_chunk_bytes=CHUNK_BYTES,
            pass_endpoint=peers.pass_url,
            ring_endpoint=peers.ring_url,
        )
        self.replicas = [await self.opened() for _ in range(REPLICAS)]

    async def opened(self) -> Container:
        container = Container(settings=self.settings)
        await self.stack.enter_async_context(lifespan(container))
        return container

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    @initialize(size=st.integers(0, MOST_BYTES), first=st.integers(0, MOST_BYTES))
    def create(self, size: int, first: int) -> None:
        """Begin with some of the bytes."""
        self.content, self.arrived = self.random.randbytes(size), min(size, first)
        wanted = CreateUpload(hash="", file_name="a", file_size=size, content_type="a/b")
        task = self.run(
            self.replicas[0]
            .tus_uploads()
            .create(
                ADMIN,
                wanted,
                "",
                body=body(self.content[: self.arrived], [], breaks_off=False),
                announced_bytes=0,
                checksum=None,
            )
        )
        self.upload_id = task.id

    def sent(
        self, replica: int, offset: int, data: bytes, sizes: list[int], *, breaks_off: bool, sum_: Checksum | None
    ) -> Coroutine[Any, Any, Task]:
        uploads = self.replicas[replica].tus_uploads()
        came = body(data, sizes, breaks_off=breaks_off)
        return uploads.append(ADMIN, self.upload_id, offset, body=came, announced_bytes=0, checksum=sum_)

    @rule(replica=REPLICA, count=st.integers(0, MOST_BYTES), sizes=PIECES, breaks_off=st.booleans())
    def append(self, replica: int, count: int, sizes: list[int], breaks_off: bool) -> None:
        data = self.content[self.arrived : self.arrived + count]
        code = self.code(self.sent(replica, self.arrived, data, sizes, breaks_off=breaks_off, sum_=None))
        assert code is (Code.VALIDATION_ERROR if breaks_off else None)
        self.arrived += len(data)

    @rule(
        replica=REPLICA,
        count=st.integers(0, MOST_BYTES),
        sizes=PIECES,
        breaks_off=st.booleans(),
        is_right=st.booleans(),
        algorithm=st.sampled_from(["sha1", "sha256", "md5"]),
    )
    def append_with_checksum(
        self, replica: int, count: int, sizes: list[int], breaks_off: bool, is_right: bool, algorithm: str
    ) -> None:
        """Either all of it counts or nothing."""
        data = self.content[self.arrived : self.arrived + count]
        sum_ = _sum(algorithm, data if is_right else data + b"!")
        code = self.code(self.sent(replica, self.arrived, data, sizes, breaks_off=breaks_off, sum_=sum_))
        if breaks_off:
            assert code is Code.VALIDATION_ERROR
        elif not is_right:
            assert code is Code.CHECKSUM_MISMATCH
        else:
            assert code is None
            self.arrived += len(data)

    @rule(replica=REPLICA, offset=st.integers(0, MOST_BYTES + 1), data=st.binary(min_size=1, max_size=20))
    def append_elsewhere(self, replica: int, offset: int, data: bytes) -> None:
        if offset != self.arrived:
            code = self.code(self.sent(replica, offset, data, [], breaks_off=False, sum_=None))
            assert code is Code.CONFLICT

    @rule(replica=REPLICA, more=st.binary(min_size=1, max_size=20), sizes=PIECES)
    def append_too_much(self, replica: int, more: bytes, sizes: list[int]) -> None:
        """What is whole chunks of the upload may count, and never its end."""
        data = self.content[self.arrived :] + more
        assert self.code(self.sent(replica, self.arrived, data, sizes, breaks_off=False, sum_=None)) is Code.TOO_LARGE
        offset = self.offset(replica)
        assert self.arrived <= offset
        assert offset == self.arrived or (offset % CHUNK_BYTES == 0 and offset < len(self.content))
        self.arrived = offset

    @rule(count=st.integers(1, MOST_BYTES), sizes=st.lists(PIECES, min_size=2, max_size=4))
    def append_at_once(self, count: int, sizes: list[list[int]]) -> None:
        """Several bring the same bytes, in pieces of their own."""
        data = self.content[self.arrived : self.arrived + count]
        if not data:
            return

        async def all_at_once() -> list[Task | BaseException]:
            requests = (
                self.sent(n % REPLICAS, self.arrived, data, one, breaks_off=False, sum_=None)
                for n, one in enumerate(sizes)
            )
            return await asyncio.gather(*requests, return_exceptions=True)

        for answer in self.run(all_at_once()):
            assert isinstance(answer, Task) or _code(answer) in {Code.CONFLICT, Code.LOCKED}
        offset = self.offset(0)
        assert self.arrived <= offset <= self.arrived + len(data)
        self.arrived = offset

    @rule(replica=REPLICA)
    def kill(self, replica: int) -> None:
        """Another takes its place, and knows what the database knows."""
        self.replicas[replica] = self.run(self.opened())

    @invariant()
    def what_arrived_is_there(self) -> None:
        if self.upload_id:
            assert self.offset(0) == self.arrived

    @rule(replica=REPLICA)
    def finish(self, replica: int) -> None:
        """The file has the bytes, and the hash of them; then comes another upload."""
        rest = self.content[self.arrived :]
        task = self.run(self.sent(replica, self.arrived, rest, [], breaks_off=False, sum_=None))
        self.arrived = len(self.content)
        container = self.replicas[replica]
        file = self.run(container.files().get(task.file_id))
        assert container.local_store().path(file.storage_id).read_bytes() == self.content
        assert file.hash == _sum("sha256", self.content).digest.hex()
        self.create(self.random.randint(1, MOST_BYTES), 0)

    def offset(self, replica: int) -> int:
        task = self.run(self.replicas[replica].tus_uploads().look(ADMIN, self.upload_id))
        assert task.tus_offset_bytes is not None
        return task.tus_offset_bytes

    def code(self, asked: Coroutine[Any, Any, object]) -> Code | None:
        """Return how a request was refused, None where it was not."""
        try:
            self.run(asked)
        except DriveError as error:
            return error.code
        return None


def _code(answer: object) -> Code:
    assert isinstance(answer, DriveError), answer
    return answer.code


def _sum(algorithm: str, data: bytes) -> Checksum:
    hasher = Checksum(algorithm, b"").begun()
    hasher.update(data)
    return Checksum(algorithm, hasher.digest())


@pytest.mark.own_database
def test_uploads_by_tus_are_what_their_model_is(database_url: str, tmp_path: Path) -> None:
    machine = type("Machine", (TusMachine,), {"url": database_url, "folder": tmp_path})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))
