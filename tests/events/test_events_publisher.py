"""What was uploaded is told once, in order, whatever happens meanwhile."""

import asyncio
import hashlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from events_support import (
    NatsServer,
    add_events,
    at_work,
    connected_to,
    events_left,
    file_ids,
    hold_back_deletion,
    logging,
    messages,
)
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StreamConfig
from support.api import Api
from support.rows import POOL_ID, Rows
from support.waiting import eventually

from drive.events.streams import covers
from drive.lazy import lifespan
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings
from drive.worker_container import WorkerContainer

Serve = Callable[[WorkerContainer], Awaitable[Api]]

CLOSE_MOST_S = 3.0
NAMES = [f"file-{number:03}" for number in range(100)]


def publisher_of(container: WorkerContainer) -> Any:
    """Return the container's publisher."""
    return container.events()._publisher


async def test_an_upload_is_told_with_all_that_a_consumer_needs(
    nats_settings: Settings, serve_app: Serve, container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """Where the bytes are in a pool and what they are; never where they are on a disk."""
    api = await serve_app(WorkerContainer(settings=nats_settings))
    file = await api.upload(b"content", file_name="a.txt", content_type="text/plain")
    await publisher_of(container).publish()

    (message,) = await messages(jetstream, "file_events")
    payload = msgspec.json.decode(message.data)
    assert payload.pop("uploaded_at").startswith(file["uploaded_at"][:19])
    assert payload == {
        "file_id": file["id"],
        "remote_id": POOL_ID,
        "storage_id": file["storage_id"],
        "content_type": "text/plain",
        "account_id": PLAIN_ID,
        "bundle_id": None,
        "name": "a.txt",
        "size": 7,
        "hash": hashlib.sha256(b"content").hexdigest(),
    }
    assert message.subject == "file_uploaded"
    assert message.headers["Nats-Msg-Id"] == f"file_uploaded:{file['id']}"
    assert await events_left(rows) == 0


async def test_the_same_content_again_is_told_where_it_made_a_file(
    nats_settings: Settings, serve_app: Serve, container: WorkerContainer, jetstream: JetStreamContext
) -> None:
    """Two files may share an object; an upload that was answered with a file that is there already made none."""
    api = await serve_app(WorkerContainer(settings=nats_settings))
    first = await api.upload(b"content")
    second = (await api.upload_direct(b"content")).json
    assert (await api.create(b"content")).json["file_exists"]
    await publisher_of(container).publish()

    told = [msgspec.json.decode(one.data) for one in await messages(jetstream, "file_events")]
    assert [one["file_id"] for one in told] == [first["id"], second["id"]]
    assert {one["storage_id"] for one in told} == {first["storage_id"]}


async def test_without_nats_nothing_is_written_for_it_and_the_worker_does_without(
    settings: Settings, serve_app: Serve, rows: Rows
) -> None:
    api = await serve_app(WorkerContainer(settings=settings))
    await api.upload(b"content")
    assert await events_left(rows) == 0
    async with lifespan(WorkerContainer(settings=settings)) as container:
        await container.events().run()
        await container.events().run_once()
        assert container.nats().opened_as is None


async def test_serving_with_nats_configured_never_imports_it(nats_settings: Settings) -> None:
    """The statement that makes the file is all that `drive serve` has to do with events."""
    program = (
        "import sys; from drive.app import create_app; from drive.containers import Container; "
        "from drive.settings import Settings; c = Container(settings=Settings(nats_url=sys.argv[1])); create_app(c); "
        "c.uploads(); print('nats' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, nats_settings.nats_url), stdout=asyncio.subprocess.PIPE
    )
    assert (await process.communicate())[0] == b"False\n"


async def until_stored(jetstream: JetStreamContext, count: int) -> None:
    async def are_stored() -> bool:
        return len(await messages(jetstream, "file_events")) == count

    await eventually(are_stored)


async def cut_off_before_it_is_marked(container: WorkerContainer, rows: Rows, jetstream: JetStreamContext) -> None:
    """Publish one event, and end the publisher as a crash does when it has arrived and its row is about to go."""
    await add_events(rows, ["first"])
    async with hold_back_deletion(rows):
        publishing = asyncio.create_task(publisher_of(container).publish())
        await until_stored(jetstream, 1)
        publishing.cancel()
        await asyncio.wait([publishing])
    assert await events_left(rows) == 1


async def test_a_publisher_that_ended_before_it_marked_what_it_sent_sends_nothing_twice(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    await cut_off_before_it_is_marked(container, rows, jetstream)
    await add_events(rows, ["second"])
    async with lifespan(WorkerContainer(settings=nats_settings)) as other:
        await publisher_of(other).publish()
    assert await file_ids(jetstream) == ["first", "second"]
    assert await events_left(rows) == 0


async def test_another_publisher_at_work_does_not_send_again_what_a_killed_one_has_sent(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    """One that has published before, and so has no reason to look at the stream: JetStream knows the message."""
    async with lifespan(WorkerContainer(settings=nats_settings)) as other:
        await publisher_of(other).publish()
        await cut_off_before_it_is_marked(container, rows, jetstream)
        await publisher_of(other).publish()
    assert await file_ids(jetstream) == ["first"]
    assert await events_left(rows) == 0


async def test_nothing_is_sent_twice_when_jetstream_has_long_forgotten_it(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    """After an outage longer than JetStream remembers ids for, the end of the stream is looked at."""
    await add_forgetful_stream(jetstream)
    await cut_off_before_it_is_marked(container, rows, jetstream)
    await until_forgotten(jetstream)
    async with lifespan(WorkerContainer(settings=nats_settings)) as other:
        await publisher_of(other).publish()
    assert await file_ids(jetstream) == ["first", "probe", "probe"]
    assert await events_left(rows) == 0


async def add_forgetful_stream(jetstream: JetStreamContext) -> None:
    """Create one that knows messages again for as short as JetStream allows."""
    subjects = ["file_uploaded", "probe"]
    await jetstream.add_stream(StreamConfig(name="file_events", subjects=subjects, duplicate_window=0.1))


async def until_forgotten(jetstream: JetStreamContext) -> None:
    """Wait until the stream does not know what it has up to now."""

    async def is_stored() -> bool:
        headers = {"Nats-Msg-Id": "probe"}
        return not (await jetstream.publish("probe", b'{"file_id": "probe"}', headers=headers)).duplicate

    assert await is_stored()
    await eventually(is_stored)


async def test_a_publisher_waits_for_another_that_has_the_same_event(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    """However slow that one is; then the event is gone."""
    await add_forgetful_stream(jetstream)
    async with lifespan(WorkerContainer(settings=nats_settings)) as other:
        await publisher_of(other).publish()  # from here on it is sure of the stream
        await add_events(rows, ["first"])
        async with hold_back_deletion(rows, ends_what_waits=False):
            publishing = [asyncio.create_task(publisher_of(container).publish())]
            await until_stored(jetstream, 1)
            await until_forgotten(jetstream)
            publishing.append(asyncio.create_task(publisher_of(other).publish()))
            await eventually(lambda: are_waiting(rows, 2))
        await asyncio.gather(*publishing)
    assert await file_ids(jetstream) == ["first", "probe", "probe"]


async def are_waiting(rows: Rows, count: int) -> bool:
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return bool(await rows.fetchval(query) == count)


async def test_two_publishers_send_each_event_once_and_in_order(
    container: WorkerContainer, nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    await add_events(rows, NAMES)
    async with lifespan(WorkerContainer(settings=nats_settings)) as other:
        await asyncio.gather(publisher_of(container).publish(), publisher_of(other).publish())
    assert await file_ids(jetstream) == NAMES
    assert await events_left(rows) == 0


async def test_what_happened_before_nats_was_there_is_told_when_it_is(
    container: WorkerContainer, stopped_server: NatsServer, rows: Rows
) -> None:
    """Nothing is lost, nothing overtakes, and the log says once that it began and once that it ended."""
    await add_events(rows, NAMES[:20])
    async with logging() as logged, at_work(container.events().run()):
        await eventually(lambda: logged("NATS unreachable"))
        assert await events_left(rows) == 20
        await stopped_server.start()
        await eventually(lambda: is_told(rows), 30.0)
        async with connected_to(stopped_server) as jetstream:
            assert await file_ids(jetstream) == NAMES[:20]
        assert len(logged("NATS reachable again")) == 1
    assert await rows.fetchval("select count(*) from jobs") == 0


async def is_told(rows: Rows) -> bool:
    return await events_left(rows) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSTOP])
async def test_a_server_that_goes_in_the_middle_and_comes_back_gets_each_event_once_and_in_order(
    container: WorkerContainer, server: NatsServer, rows: Rows, number: signal.Signals
) -> None:
    """Also one that only stands still for longer than a publisher waits."""
    async with logging() as logged, at_work(container.events().run()):
        adding = asyncio.create_task(add_slowly(rows, NAMES))
        async with connected_to(server) as jetstream:
            await eventually(lambda: has_begun(jetstream))
        if number is signal.SIGSTOP:
            assert server._process is not None
            server._process.send_signal(signal.SIGSTOP)
            await adding
            await eventually(lambda: logged("Events wait"), 20.0)
            server._process.send_signal(signal.SIGCONT)
        else:
            await server.stop()
            await adding
            await eventually(lambda: logged("NATS unreachable"))
            assert await events_left(rows) > 0
            await server.start()
        await eventually(lambda: is_told(rows), 30.0)
    async with connected_to(server) as jetstream:
        assert await file_ids(jetstream) == NAMES
    assert not logged("Events failed")


async def has_begun(jetstream: JetStreamContext) -> bool:
    return len(await messages(jetstream, "file_events")) > 2


async def add_slowly(rows: Rows, names: list[str]) -> None:
    for name in names:
        await add_events(rows, [name])
        await asyncio.sleep(0.005)


async def test_a_server_that_lost_its_data_is_given_its_streams_again(
    container: WorkerContainer, server: NatsServer, rows: Rows
) -> None:
    async with at_work(container.events().run()):
        await add_events(rows, ["before"])
        await eventually(lambda: is_told(rows))
        await server.lose_data()
        await add_events(rows, ["after"])
        await server.start()
        await eventually(lambda: is_told(rows), 30.0)
    async with connected_to(server) as jetstream:
        assert await file_ids(jetstream) == ["after"]


async def test_a_connection_that_the_client_gave_up_is_opened_again(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """As it does after some sixty attempts, or where the server takes back its permission."""
    async with at_work(container.events().run()):
        await add_events(rows, ["before"])
        await eventually(lambda: is_told(rows))
        client = container.nats().peek()
        assert client is not None
        await client.close()
        await add_events(rows, ["after"])
        await eventually(lambda: is_told(rows))
    assert await file_ids(jetstream) == ["before", "after"]


@pytest.mark.parametrize(
    "taken",
    [
        StreamConfig(name="file_events", subjects=["other"]),
        StreamConfig(name="other", subjects=["file_uploaded"]),
    ],
)
async def test_a_stream_in_the_way_is_named_with_what_to_do_and_nothing_is_lost(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows, taken: StreamConfig
) -> None:
    await jetstream.add_stream(taken)
    await add_events(rows, ["one"])
    async with logging() as logged, at_work(container.events().run()):
        await eventually(lambda: logged("Events wait"))
        (line,) = logged("Events wait")
        assert line["part"] == "publisher"
        assert "file_events" in line["reason"]
        assert "file_uploaded" in line["reason"]
        subjects = ["other", "file_uploaded"] if taken.name == "file_events" else ["elsewhere"]
        await jetstream.update_stream(replace(taken, subjects=subjects))
        await eventually(lambda: is_told(rows))
        await eventually(lambda: logged("Events go on"))
    assert await file_ids(jetstream) == ["one"]


async def test_a_stream_that_is_there_is_used_as_it_is(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """With other limits and more subjects than ours."""
    theirs = StreamConfig(name="file_events", subjects=["*"], max_msgs=5)
    await jetstream.add_stream(theirs)
    await add_events(rows, ["one"])
    await publisher_of(container).publish()
    assert await file_ids(jetstream) == ["one"]
    info = await jetstream.stream_info("file_events")
    assert (info.config.subjects, info.config.max_msgs) == (["*"], 5)


async def test_jetstream_that_takes_nothing_keeps_the_events_in_order(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """A stream that is full, say."""
    full = StreamConfig(name="file_events", subjects=["file_uploaded"], max_msgs=2, discard=DiscardPolicy.NEW)
    await jetstream.add_stream(full)
    await add_events(rows, NAMES[:5])
    async with logging() as logged, at_work(container.events().run()):
        await eventually(lambda: logged("Events wait"))
        assert await events_left(rows) == 3
        await jetstream.update_stream(replace(full, max_msgs=10))
        await eventually(lambda: is_told(rows))
    assert await file_ids(jetstream) == NAMES[:5]


async def test_once_publishes_what_waits_and_ends_also_without_nats(
    container: WorkerContainer, stopped_server: NatsServer, rows: Rows
) -> None:
    await add_events(rows, NAMES[:3])
    async with logging() as logged:
        await container.events().run_once()
        assert [line["part"] for line in logged("Events wait")] == ["publisher", "consumer"]
    await stopped_server.start()
    async with lifespan(WorkerContainer(settings=container.settings())) as other:
        await other.events().run_once()
        begun_s = time.monotonic()
        await other.nats().aclose()
        assert time.monotonic() - begun_s < CLOSE_MOST_S, "closing waited for messages that nobody will take"
    async with connected_to(stopped_server) as jetstream:
        assert await file_ids(jetstream) == NAMES[:3]


async def test_an_idle_publisher_asks_jetstream_for_nothing(
    container: WorkerContainer, jetstream: JetStreamContext, rows: Rows
) -> None:
    """Once it knows that the stream is there."""
    publisher = publisher_of(container)
    await publisher.publish()
    before = await api_calls(jetstream)
    for _ in range(5):
        await publisher.publish()
    assert await api_calls(jetstream) - before == 1  # our own question


async def api_calls(jetstream: JetStreamContext) -> int:
    return int((await jetstream.account_info()).api.total)


@pytest.mark.parametrize(
    ("pattern", "subject", "is_covered"),
    [
        ("file_uploaded", "file_uploaded", True),
        ("*", "file_uploaded", True),
        (">", "file_uploaded", True),
        (">", "drive.dead_letter", True),
        ("drive.>", "drive.dead_letter", True),
        ("drive.*", "drive.dead_letter", True),
        ("*.dead_letter", "drive.dead_letter", True),
        ("other", "file_uploaded", False),
        ("file_uploaded.>", "file_uploaded", False),
        ("*", "drive.dead_letter", False),
        ("drive.dead_letter.>", "drive.dead_letter", False),
        ("drive", "drive.dead_letter", False),
        ("other.>", "drive.dead_letter", False),
    ],
)
def test_which_subjects_a_stream_takes(pattern: str, subject: str, is_covered: bool) -> None:
    assert covers(pattern, subject) is is_covered
