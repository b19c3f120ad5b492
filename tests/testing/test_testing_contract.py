"""What holds for a fake holds for a server that answers the same, so that a test cannot tell them apart."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc import StatusCode
from talk import Talk

from drive.testing import fake, rpc_error, serving


def answers(talk: Talk) -> dict[str, Any]:
    """Return what both answer. The text of the first request decides."""

    async def echo(request: Any) -> Any:
        await begin(request.text)
        return talk.words(request.text.upper())

    async def spell(request: Any) -> AsyncIterator[Any]:
        await begin(request.text)
        for letter in request.text:
            if letter == "!":
                raise rpc_error(StatusCode.ABORTED, "no shouting")
            yield talk.words(letter)
            if letter == "~":
                await asyncio.Event().wait()

    async def join(requests: AsyncIterator[Any]) -> Any:
        texts = [request.text async for request in requests]
        await begin("".join(texts))
        return talk.words(" ".join(texts))

    async def chat(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            await begin(request.text)
            yield talk.words(request.text.upper())
            if request.text == "bye":
                return

    return {"Echo": echo, "Spell": spell, "Join": join, "Chat": chat}


async def begin(text: str) -> None:
    if text == "fail":
        raise rpc_error(StatusCode.NOT_FOUND, "no such thing")
    if text == "break":
        raise ValueError("it broke")
    if text == "hold":
        await asyncio.Event().wait()


def servicer(talk: Talk) -> Any:
    """Return the same answers as one writes them for a server."""
    answer = answers(talk)
    generated: Any = talk.services.TalkServicer

    class Servicer(generated):  # type: ignore[misc] # generated while the tests run
        async def Echo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return await failing(answer["Echo"](request), context)

        async def Spell(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
            async for response in failing_each(answer["Spell"](request), context):
                yield response

        async def Join(self, requests: Any, context: Any) -> Any:  # noqa: N802
            return await failing(answer["Join"](requests), context)

        async def Chat(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
            async for response in failing_each(answer["Chat"](requests), context):
                yield response

    return Servicer()


async def failing(answered: Any, context: Any) -> Any:
    try:
        return await answered
    except grpc.aio.AioRpcError as error:
        await context.abort(error.code(), error.details())


async def failing_each(answered: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    try:
        async for response in answered:
            yield response
    except grpc.aio.AioRpcError as error:
        await context.abort(error.code(), error.details())


@asynccontextmanager
async def called(talk: Talk, service: Any) -> AsyncIterator[Any]:
    """Serve, and give the generated stub that calls it."""
    async with serving(service) as url, grpc.aio.insecure_channel(url.removeprefix("http://")) as channel:
        yield talk.stub(channel)


async def read_into(texts: list[str], call: Any) -> None:
    """Note what is read until it fails."""
    async for words in call:
        texts.append(words.text)  # noqa: PERF401 - it raises


@pytest.fixture(params=["fake", "server", "served fake"])
async def stub(request: pytest.FixtureRequest, talk: Talk) -> AsyncIterator[Any]:
    """Give the fake, or the generated stub of a server."""
    made = fake(talk.stub, **answers(talk))
    if request.param == "fake":
        yield made
        return
    async with called(talk, servicer(talk) if request.param == "server" else made) as stub:
        yield stub


@pytest.fixture(params=["fake", "server"])
async def empty(request: pytest.FixtureRequest, talk: Talk) -> AsyncIterator[Any]:
    """Give a service without a single method."""
    if request.param == "fake":
        yield fake(talk.stub)
        return
    async with called(talk, talk.services.TalkServicer()) as stub:
        yield stub


async def seen(call: Any) -> tuple[Any, ...]:
    """Return how a call ended, as its methods tell."""
    return (
        call.done(),
        call.cancelled(),
        await call.code(),
        await call.details(),
        tuple(await call.initial_metadata()),
        tuple(await call.trailing_metadata()),
        call.cancel(),
    )


OK = (True, False, StatusCode.OK, "", (), (), False)
CANCELLED = (True, True, StatusCode.CANCELLED, "Locally cancelled by application!", (), (), False)
NOT_FOUND = (True, False, StatusCode.NOT_FOUND, "no such thing", (), (), False)


class TestUnary:
    async def test_answers(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hi"), timeout=60, metadata=(("who", "me"),))
        assert isinstance(call, grpc.aio.UnaryUnaryCall)
        assert not call.done()
        assert call.time_remaining() == pytest.approx(60, abs=10)
        assert await call == talk.words("HI")
        assert await call == talk.words("HI")
        assert await seen(call) == OK

    async def test_has_no_deadline_unless_one_is_given(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hi"))
        assert call.time_remaining() is None
        await call

    async def test_fails(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("fail"))
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert (raised.value.code(), raised.value.details()) == (StatusCode.NOT_FOUND, "no such thing")
            assert tuple(raised.value.trailing_metadata()) == tuple(raised.value.initial_metadata()) == ()
        assert await seen(call) == NOT_FOUND

    async def test_fails_with_unknown_where_the_answer_breaks(self, stub: Any, talk: Talk) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Echo(talk.words("break"))
        assert raised.value.code() is StatusCode.UNKNOWN
        assert raised.value.details() == "Unexpected <class 'ValueError'>: it broke"

    async def test_ends_at_its_deadline(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hold"), timeout=0.05)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert (raised.value.code(), raised.value.details()) == (StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    async def test_is_cancelled(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hold"))
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await seen(call) == CANCELLED

    async def test_is_cancelled_with_who_waits_for_it(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hold"))
        waiting = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await seen(call) == CANCELLED

    async def test_tells_when_it_is_over(self, stub: Any, talk: Talk) -> None:
        call = stub.Echo(talk.words("hi"))
        told: list[Any] = []
        call.add_done_callback(told.append)
        await call
        await call.code()
        call.add_done_callback(told.append)
        assert told == [call, call]


class TestResponseStream:
    async def test_is_iterated(self, stub: Any, talk: Talk) -> None:
        call = stub.Spell(talk.words("abc"))
        assert isinstance(call, grpc.aio.UnaryStreamCall)
        assert [words.text async for words in call] == ["a", "b", "c"]
        assert [words.text async for words in call] == []
        assert await seen(call) == OK

    async def test_is_read(self, stub: Any, talk: Talk) -> None:
        call = stub.Spell(talk.words("ab"))
        assert (await call.read(), await call.read()) == (talk.words("a"), talk.words("b"))
        assert await call.read() is grpc.aio.EOF
        assert await call.read() is grpc.aio.EOF
        assert await seen(call) == OK

    async def test_is_not_read_in_both_ways(self, stub: Any, talk: Talk) -> None:
        call = stub.Spell(talk.words("a~"))
        async for _ in call:
            break
        with pytest.raises(grpc.aio.UsageError):
            await call.read()
        call.cancel()

    async def test_fails_after_what_was_sent(self, stub: Any, talk: Talk) -> None:
        call = stub.Spell(talk.words("a!"))
        texts: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError, match="no shouting"):
            await read_into(texts, call)
        assert texts == ["a"]
        assert await call.code() is StatusCode.ABORTED

    async def test_fails_before_anything_was_sent(self, stub: Any, talk: Talk) -> None:
        call = stub.Spell(talk.words("fail"))
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await call.read()
        assert await seen(call) == NOT_FOUND

    async def test_can_be_empty(self, stub: Any, talk: Talk) -> None:
        assert [words async for words in stub.Spell(talk.words())] == []

    async def test_is_cancelled(self, stub: Any, talk: Talk) -> None:
        """What was not read by then is lost."""
        call = stub.Spell(talk.words("ab~"))
        assert await call.read() == talk.words("a")
        for _ in range(20):  # in which a fake, at least, has sent the next
            await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.read()
        assert await seen(call) == CANCELLED

    async def test_ends_at_its_deadline(self, stub: Any, talk: Talk) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="Deadline Exceeded"):
            [words async for words in stub.Spell(talk.words("a~"), timeout=0.3)]


class TestRequestStream:
    async def test_is_taken_from_an_iterator(self, stub: Any, talk: Talk) -> None:
        async def requests() -> AsyncIterator[Any]:
            yield talk.words("a")
            yield talk.words("b")

        call = stub.Join(requests())
        assert isinstance(call, grpc.aio.StreamUnaryCall)
        assert await call == talk.words("a b")
        assert await stub.Join([talk.words("c")]) == talk.words("c")
        assert await seen(call) == OK

    async def test_is_written(self, stub: Any, talk: Talk) -> None:
        call = stub.Join()
        await call.write(talk.words("a"))
        await call.write(talk.words("b"))
        await call.done_writing()
        await call.done_writing()
        with pytest.raises(asyncio.InvalidStateError, match="half closed"):
            await call.write(talk.words("c"))
        assert await call == talk.words("a b")
        with pytest.raises(asyncio.InvalidStateError, match="finished"):
            await call.write(talk.words("c"))

    async def test_is_not_written_in_both_ways(self, stub: Any, talk: Talk) -> None:
        call = stub.Join([talk.words("a")])
        with pytest.raises(grpc.aio.UsageError):
            await call.write(talk.words("b"))
        with pytest.raises(grpc.aio.UsageError):
            await call.done_writing()
        assert await call == talk.words("a")

    async def test_fails(self, stub: Any, talk: Talk) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await stub.Join([talk.words("fa"), talk.words("il")])

    async def test_is_cancelled_where_the_iterator_breaks(self, stub: Any, talk: Talk) -> None:
        async def requests() -> AsyncIterator[Any]:
            yield talk.words("a")
            raise ValueError("it broke")

        call = stub.Join(requests())
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await seen(call) == CANCELLED


class TestBothStreams:
    async def test_take_turns(self, stub: Any, talk: Talk) -> None:
        call = stub.Chat()
        assert isinstance(call, grpc.aio.StreamStreamCall)
        for text in "ab":
            await call.write(talk.words(text))
            assert await call.read() == talk.words(text.upper())
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await seen(call) == OK

    async def test_can_be_ended_by_the_server(self, stub: Any, talk: Talk) -> None:
        call = stub.Chat()
        await call.write(talk.words("bye"))
        assert [words.text async for words in call] == ["BYE"]
        assert await call.code() is StatusCode.OK
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(talk.words("more"))

    async def test_fail_in_the_middle(self, stub: Any, talk: Talk) -> None:
        call = stub.Chat([talk.words("a"), talk.words("fail"), talk.words("b")])
        texts: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await read_into(texts, call)
        assert texts == ["A"]

    async def test_are_cancelled_with_who_reads(self, stub: Any, talk: Talk) -> None:
        call = stub.Chat()
        await call.write(talk.words("a"))
        await call.read()
        reading = asyncio.create_task(call.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await seen(call) == CANCELLED


class TestNotGiven:
    async def test_is_unimplemented(self, empty: Any, talk: Talk) -> None:
        begins: list[Callable[[], Any]] = [
            lambda: empty.Echo(talk.words()),
            lambda: empty.Join([]),
            lambda: empty.Spell(talk.words()).read(),
            lambda: empty.Chat([]).read(),
        ]
        for begin in begins:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await begin()
            assert raised.value.code() is StatusCode.UNIMPLEMENTED
            assert raised.value.details() == "Unexpected <class 'NotImplementedError'>: Method not implemented!"
