"""Each message is dealt with, and none keeps the others waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from events_support import NatsServer, at_work, connected_to, logging, messages
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError
from support.rows import Rows
from support.waiting import eventually

from drive.errors import unavailable
from drive.events.accounts import ACCOUNT_DELETED_HANDLER, account_in
from drive.events.consumer import Consumer, UnusableMessageError
from drive.events.nats import Link
from drive.events.patience import keep_on
from drive.events.streams import ACCOUNT_EVENTS
from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer

ACCOUNT = UUID("11111111-2222-3333-4444-555555555555")
POISON = [
    b"",
    b"no json",
    b"\xff\xfe",
    b'"\xff"',
    b"null",
    b"[]",
    b"17",
    b"{}",
    b'{"account_id": null}',
    b'{"account_id": 17}',
    b'{"account_id": "nobody"}',
    b'{"account_id": ["' + str(ACCOUNT).encode() + b'"]}',
    b'{"account_id": "00000000-0000-0000-0000-000000000000"}',
    b"[" * 100_000,
    b"x" * 1_000_000,
]

Handle = Callable[[bytes], Awaitable[None]]


def told(account_id: UUID = ACCOUNT, **fields: Any) -> bytes:
    """Return a message as pass sends it."""
    return msgspec.json.encode({"account_id": account_id, "deleted_at": "2026-01-01T00:00:00.123456789Z"} | fields)


async def tell(jetstream: JetStreamContext, *data: bytes) -> None:
    for one in data:
        await jetstream.publish("account_deleted", one)


async def jobs(rows: Rows) -> list[Any]:
    """Return account and round of the jobs that wait, and in how many seconds they are due."""
    return await rows.fetch(
        "select payload->>'account_id' as account_id, payload->'round' as round, "
        "extract(epoch from run_at - created_at)::float as after_s from jobs where kind = 'delete_account' order by id"
    )


async def are_done_with(jetstream: JetStreamContext, count: int) -> bool:
    """Whether this many messages came, and none of them will again."""
    try:
        info = await jetstream.consumer_info("account_events", ACCOUNT_DELETED_HANDLER)
    except NotFoundError:
        return False
    assert info.ack_floor is not None
    return bool(info.ack_floor.stream_seq == count and info.num_pending == 0 == info.num_ack_pending)


def consumer(container: WorkerContainer, handle: Handle, **options: Any) -> Any:
    """Return a consumer of `account_deleted` with a handler of the test's own, at work."""
    link = Link(container.nats())
    one = Consumer(link, ACCOUNT_EVENTS, ACCOUNT_DELETED_HANDLER, handle, **options)
    return keep_on("consumer", one.step, pause_s=0.05)


class Handler:
    """Remembers what it was given, and fails with these errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.given: list[bytes] = []
        self._errors = list(errors)

    async def __call__(self, data: bytes) -> None:
        self.given.append(data)
        if self._errors:
            raise self._errors.pop(0)


async def add_account_events(jetstream: JetStreamContext) -> None:
    """Create the stream as pass does."""
    await jetstream.add_stream(StreamConfig(name="account_events", subjects=["account_deleted"]))


async def test_a_deletion_told_many_times_waits_once_and_once_more_for_late_comers(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """The second round is for when no process takes the account's tokens any more."""
    await add_account_events(jetstream)
    await tell(jetstream, told(), told(), told(), told(extra={"some": "thing"}))
    async with at_work(container.events().run()):
        await eventually(lambda: are_done_with(jetstream, 4))
    assert [(one["account_id"], one["round"]) for one in await jobs(rows)] == [(str(ACCOUNT), 1), (str(ACCOUNT), 2)]
    first, second = [one["after_s"] for one in await jobs(rows)]
    assert first == 0
    assert second > container.settings().auth_cache_ttl_s


async def test_messages_that_mean_nothing_are_put_aside_and_keep_nobody_waiting(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    await add_account_events(jetstream)
    await tell(jetstream, *POISON, told())
    async with logging() as logged, at_work(container.events().run()):
        await eventually(lambda: are_done_with(jetstream, len(POISON) + 1), 30.0)
    assert len(await jobs(rows)) == 2

    letters = await messages(jetstream, "drive_dead_letters")
    assert [letter.data or b"" for letter in letters] == [data[: 64 * 1024] for data in POISON]
    assert [letter.headers["Drive-Sequence"] for letter in letters] == [str(n + 1) for n in range(len(POISON))]
    for letter in letters:
        assert letter.subject == "drive.dead_letter"
        assert letter.headers["Drive-Stream"] == "account_events"
        assert letter.headers["Drive-Reason"].startswith(("It has no account_id: ", "Its account_id is zero"))
    assert [line["sequence"] for line in logged("Message put aside")] == list(range(1, len(POISON) + 1))
    assert not logged("Events wait")


@pytest.mark.parametrize(
    "data",
    [
        told(),
        b'{"ACCOUNT_ID": "11111111-2222-3333-4444-555555555555"}',
        b'{"Account_Id": "11111111222233334444555555555555", "deleted_at": 17}',
    ],
)
def test_only_the_account_matters_and_names_are_read_in_any_case(data: bytes) -> None:
    assert account_in(data) == ACCOUNT


async def test_a_message_is_nobody_elses_for_as_long_as_it_is_worked_on(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, server: NatsServer
) -> None:
    """However long that takes: JetStream is told in time. The other one waits in vain."""
    signs_of_life, is_over, given = 0, asyncio.Event(), 0

    async def slow(_data: bytes) -> None:
        nonlocal given
        given += 1
        await is_over.wait()

    async with (
        connected_to(server) as listening,
        lifespan(WorkerContainer(settings=nats_settings)) as other,
        at_work(*(consumer(one, slow, ack_wait_s=0.3) for one in (container, other))),
    ):
        heard = await listening._nc.subscribe("$JS.ACK.account_events.>")
        await eventually(lambda: is_there(jetstream))
        await tell(jetstream, told())
        while signs_of_life < 12:  # four times as long as JetStream would have waited
            signs_of_life += (await heard.next_msg(timeout=10)).data == b"+WPI"
        assert given == 1
        is_over.set()
        await eventually(lambda: are_done_with(jetstream, 1))
    assert given == 1


async def is_there(jetstream: JetStreamContext) -> bool:
    try:
        await jetstream.consumer_info("account_events", ACCOUNT_DELETED_HANDLER)
    except NotFoundError:
        return False
    return True


async def test_what_a_killed_worker_had_is_given_to_another(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext
) -> None:
    await add_account_events(jetstream)
    await tell(jetstream, told())
    taken, handler = asyncio.Event(), Handler()

    async def stuck(_data: bytes) -> None:
        taken.set()
        await asyncio.Event().wait()

    async with at_work(consumer(container, stuck, ack_wait_s=0.3)):
        await taken.wait()
    async with lifespan(WorkerContainer(settings=nats_settings)) as other, at_work(consumer(other, handler)):
        await eventually(lambda: are_done_with(jetstream, 1))
    assert handler.given == [told()]


async def test_two_workers_share_the_messages(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext
) -> None:
    """Each message is one worker's; both have some at the same time."""
    await add_account_events(jetstream)
    data = [told(uuid4()) for _ in range(20)]
    await tell(jetstream, *data)
    both, given = asyncio.Barrier(2), []

    async def together(one: bytes) -> None:
        given.append(one)
        async with asyncio.timeout(20):
            await both.wait()  # by one worker alone this would never end

    async with (
        lifespan(WorkerContainer(settings=nats_settings)) as other,
        at_work(consumer(container, together), consumer(other, together)),
    ):
        await eventually(lambda: are_done_with(jetstream, 20), 30.0)
    assert sorted(given) == sorted(data)


async def test_a_message_that_fails_comes_again_after_others_and_is_put_aside_in_the_end(
    container: WorkerContainer, jetstream: JetStreamContext
) -> None:
    await add_account_events(jetstream)
    await tell(jetstream, b"bad", b"good")
    given = []

    async def handle(data: bytes) -> None:
        given.append(data)
        if data == b"bad":
            raise RuntimeError("Not today.\r\nNor tomorrow: ñ")

    async with logging() as logged, at_work(consumer(container, handle, deliveries_max=3)):
        await eventually(lambda: are_done_with(jetstream, 2), 30.0)
    assert given == [b"bad", b"good", b"bad", b"bad"]
    assert [line["deliveries"] for line in logged("Message failed")] == [1, 2]
    (letter,) = await messages(jetstream, "drive_dead_letters")
    assert letter.data == b"bad"
    assert "Not today." in letter.headers["Drive-Reason"]
    assert letter.headers["Drive-Reason"].isascii()


async def test_a_message_that_kills_whoever_has_it_is_put_aside(
    container: WorkerContainer, jetstream: JetStreamContext, nats_settings: Settings
) -> None:
    """They cannot say so: that it was delivered so often does."""
    await add_account_events(jetstream)
    await tell(jetstream, b"deadly")
    for _ in range(2):
        taken = asyncio.Event()

        async def stuck(_data: bytes, taken: asyncio.Event = taken) -> None:
            taken.set()
            await asyncio.Event().wait()

        async with (
            lifespan(WorkerContainer(settings=nats_settings)) as killed,
            at_work(consumer(killed, stuck, ack_wait_s=0.3)),
        ):
            await taken.wait()
    handler = Handler()
    async with at_work(consumer(container, handler, deliveries_max=2)):
        await eventually(lambda: are_done_with(jetstream, 1))
    assert handler.given == []
    (letter,) = await messages(jetstream, "drive_dead_letters")
    assert letter.headers["Drive-Reason"] == "It was delivered 3 times and never done with."


async def test_an_outage_of_the_database_costs_a_message_none_of_its_deliveries(
    container: WorkerContainer, jetstream: JetStreamContext
) -> None:
    await add_account_events(jetstream)
    await tell(jetstream, told())
    handler = Handler(unavailable("The database"), unavailable("The database"))
    async with at_work(consumer(container, handler, deliveries_max=1)):
        await eventually(lambda: are_done_with(jetstream, 1))
    assert handler.given == [told()] * 3
    assert await messages(jetstream, "drive_dead_letters") == []
    info = await jetstream.consumer_info("account_events", ACCOUNT_DELETED_HANDLER)
    assert info.delivered is not None
    assert info.delivered.consumer_seq == 1


@pytest.mark.parametrize("keeps_data", [True, False])
async def test_after_a_restart_of_the_server_messages_come_again(
    container: WorkerContainer, server: NatsServer, keeps_data: bool
) -> None:
    """Also where it has lost streams and consumers. What was acknowledged before does not come again."""
    handler = Handler()
    async with at_work(consumer(container, handler)):
        async with connected_to(server) as jetstream:
            await eventually(lambda: is_there(jetstream))
            await tell(jetstream, b"before")
            await eventually(lambda: are_done_with(jetstream, 1))
        await (server.stop() if keeps_data else server.lose_data())
        await server.start()
        async with connected_to(server) as jetstream:
            await eventually(lambda: is_there(jetstream), 30.0)
            await tell(jetstream, b"after")
            await eventually(lambda: are_done_with(jetstream, 2 if keeps_data else 1), 30.0)
    assert handler.given == [b"before", b"after"]


async def test_after_the_client_gave_up_messages_come_by_a_new_connection(
    container: WorkerContainer, jetstream: JetStreamContext
) -> None:
    handler = Handler()
    async with at_work(consumer(container, handler, ack_wait_s=1.0)):  # what the closed client was given, it kept
        await eventually(lambda: is_there(jetstream))
        client = container.nats().peek()
        assert client is not None
        await client.close()
        await tell(jetstream, b"after")
        await eventually(lambda: are_done_with(jetstream, 1), 30.0)
    assert handler.given == [b"after"]


@pytest.mark.parametrize(
    "theirs", [{"deliver_subject": "elsewhere"}, {"ack_policy": AckPolicy.NONE}, {"ack_policy": AckPolicy.ALL}]
)
async def test_a_consumer_with_other_settings_is_named_with_what_to_do(
    container: WorkerContainer, jetstream: JetStreamContext, theirs: dict[str, Any]
) -> None:
    await add_account_events(jetstream)
    await jetstream.add_consumer("account_events", ConsumerConfig(durable_name=ACCOUNT_DELETED_HANDLER, **theirs))
    await tell(jetstream, told())
    handler = Handler()
    async with logging() as logged, at_work(consumer(container, handler)):
        await eventually(lambda: logged("Events wait"))
        assert f"nats consumer rm account_events {ACCOUNT_DELETED_HANDLER}" in logged("Events wait")[0]["reason"]
        await jetstream.delete_consumer("account_events", ACCOUNT_DELETED_HANDLER)
        await eventually(lambda: handler.given)
    assert handler.given == [told()]


async def test_a_consumer_that_is_there_keeps_its_ack_wait(
    container: WorkerContainer, jetstream: JetStreamContext
) -> None:
    """Signs of life come as often as it needs them, not as we would have set it up."""
    await add_account_events(jetstream)
    theirs = ConsumerConfig(durable_name=ACCOUNT_DELETED_HANDLER, ack_wait=0.3)
    await jetstream.add_consumer("account_events", theirs)
    await tell(jetstream, told())
    heard = await jetstream._nc.subscribe("$JS.ACK.account_events.>")
    is_over = asyncio.Event()

    async def slow(_data: bytes) -> None:
        await is_over.wait()

    async with at_work(consumer(container, slow)):
        assert (await heard.next_msg(timeout=10)).data == b"+WPI"
        is_over.set()
        await eventually(lambda: are_done_with(jetstream, 1))


async def test_what_is_unusable_says_why() -> None:
    with pytest.raises(UnusableMessageError, match="no account_id"):
        account_in(b"{}")
