"""What a fake promises beside what `test_testing_contract` holds it to."""

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import FrozenInstanceError
from typing import Any
from unittest.mock import AsyncMock

import grpc
import grpc.aio
import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton
from grpc import StatusCode
from talk import Talk

from drive.lazy import Channels, Stub, lifespan, override
from drive.proto.account_pb2 import Account, AccountProfile, GetAccountRequest
from drive.proto.account_pb2_grpc import AccountServiceStub
from drive.testing import Call, FakeError, calls_of, fake, rpc_error

REQUEST = GetAccountRequest(id="1")


class TestMaking:
    def test_it_is_a_stub(self) -> None:
        assert isinstance(fake(AccountServiceStub), AccountServiceStub)

    def test_a_method_that_the_service_has_not_is_refused(self) -> None:
        with pytest.raises(FakeError) as raised:
            fake(AccountServiceStub, GetAcount=Account())
        text = str(raised.value)
        assert text.startswith(
            "AccountService has no method 'GetAcount'. Did you mean 'GetAccount'? It has GetAccount, "
        )
        assert "SearchAccount." in text

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (AccountProfile(), "AccountService.GetAccount answers with proto.Account, not proto.AccountProfile."),
            ({"id": "1"}, "AccountService.GetAccount answers with proto.Account, not dict."),
            ([Account()], "AccountService.GetAccount answers with proto.Account, not list."),
            (None, "AccountService.GetAccount answers with proto.Account, not NoneType."),
            (Account, "AccountService.GetAccount is given the class Account: give an object, Account(…)."),
            (StatusCode.OK, "AccountService.GetAccount cannot fail with OK: give the response."),
            (lambda: Account(), "must take one argument, the request: too many positional arguments."),  # noqa: PLW0108
        ],
    )
    def test_an_answer_that_cannot_be_one_is_refused(self, answer: Any, message: str) -> None:
        with pytest.raises(FakeError) as raised:
            fake(AccountServiceStub, GetAccount=answer)
        assert message in str(raised.value)

    def test_an_answer_that_cannot_be_a_stream_is_refused(self, talk: Talk) -> None:
        with pytest.raises(FakeError, match=r"answers with a stream: give a list of drive_testing.Words, not .*Words"):
            fake(talk.stub, Spell=talk.words())
        with pytest.raises(FakeError, match=r"Talk.Chat answers with drive_testing.Words, not drive_testing.Number"):
            fake(talk.stub, Chat=[talk.words(), talk.messages.Number()])

    def test_what_is_no_stub_is_refused(self) -> None:
        class Other:
            def __init__(self, channel: object) -> None:
                pass

        with pytest.raises(FakeError, match="Other is no generated stub of a service"):
            fake(Other)

    def test_a_stub_whose_proto_is_unknown_is_refused(self) -> None:
        class OtherStub:
            def __init__(self, channel: Any) -> None:
                self.Echo = channel.unary_unary("/nowhere.Other/Echo")

        with pytest.raises(FakeError, match=r"nowhere.Other is in no proto that is imported: import its _pb2 module"):
            fake(OtherStub)


class TestAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            Account(id="1"),
            lambda request: Account(id=request.id),
            AsyncMock(return_value=Account(id="1")),
        ],
        ids=["message", "function", "async mock"],
    )
    async def test_one_message(self, answer: Any) -> None:
        accounts = fake(AccountServiceStub, GetAccount=answer)
        assert [await accounts.GetAccount(REQUEST) for _ in range(2)] == [Account(id="1")] * 2

    async def test_many_messages(self, talk: Talk) -> None:
        async def spell(request: Any) -> AsyncIterator[Any]:
            for letter in request.text:
                yield talk.words(letter)

        letters = [talk.words("a"), talk.words("b")]
        for answer in (
            letters,
            tuple(letters),
            spell,
            lambda _: letters,
            lambda _: iter(letters),
            spell(letters_of(talk)),
        ):
            stub = fake(talk.stub, Spell=answer)
            assert [words async for words in stub.Spell(talk.words("ab"))] == letters

    async def test_to_many_requests(self, talk: Talk) -> None:
        """A message as it is comes after the last of them; many messages as they are do not wait."""
        stub = fake(talk.stub, Join=talk.words("all"), Chat=[talk.words("hello")])
        joining = stub.Join()
        await joining.write(talk.words("a"))
        assert not joining.done()
        await joining.done_writing()
        assert await joining == talk.words("all")
        chat = stub.Chat()
        assert await chat.read() == talk.words("hello")
        await chat.write(talk.words("goodbye"))
        await chat.done_writing()
        assert await chat.read() is grpc.aio.EOF

    @pytest.mark.parametrize(
        ("answer", "code", "details"),
        [
            (StatusCode.NOT_FOUND, StatusCode.NOT_FOUND, ""),
            (rpc_error(StatusCode.ABORTED, "try again"), StatusCode.ABORTED, "try again"),
            (OSError("no disk"), StatusCode.UNKNOWN, "Unexpected <class 'OSError'>: no disk"),
            (lambda _: StatusCode.NOT_FOUND, StatusCode.NOT_FOUND, ""),
            (AsyncMock(side_effect=OSError("no disk")), StatusCode.UNKNOWN, "Unexpected <class 'OSError'>: no disk"),
        ],
        ids=["code", "error", "other error", "function", "function that raises"],
    )
    async def test_a_failure(self, answer: Any, code: StatusCode, details: str) -> None:
        accounts = fake(AccountServiceStub, GetAccount=answer)
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await accounts.GetAccount(REQUEST)
            assert (raised.value.code(), raised.value.details()) == (code, details)

    async def test_metadata_of_a_failure(self) -> None:
        error = grpc.aio.AioRpcError(StatusCode.NOT_FOUND, None, grpc.aio.Metadata(("why", "gone")), "no such account")
        call = fake(AccountServiceStub, GetAccount=error).GetAccount(REQUEST)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert tuple(raised.value.trailing_metadata()) == tuple(await call.trailing_metadata()) == (("why", "gone"),)

    async def test_a_mistake_of_the_test_is_no_failure_of_the_call(self) -> None:
        """A service that handles failures would hide it."""

        def check(request: GetAccountRequest) -> Account:
            assert request.id == "2"
            return Account()

        with pytest.raises(AssertionError, match="'1' == '2'"):
            await fake(AccountServiceStub, GetAccount=check).GetAccount(REQUEST)

    @pytest.mark.parametrize("given", [AccountProfile(), None, [Account()]])
    async def test_a_wrong_type_that_a_function_returns(self, given: Any) -> None:
        with pytest.raises(FakeError, match=r"AccountService.GetAccount answers with proto.Account, not "):
            await fake(AccountServiceStub, GetAccount=lambda _: given).GetAccount(REQUEST)

    async def test_a_wrong_type_in_a_stream(self, talk: Talk) -> None:
        async def spell(_request: Any) -> AsyncIterator[Any]:
            yield talk.words("a")
            yield talk.messages.Number()

        call = fake(talk.stub, Spell=spell).Spell(talk.words())
        assert await call.read() == talk.words("a")
        with pytest.raises(FakeError, match=r"Talk.Spell answers with drive_testing.Words, not drive_testing.Number"):
            await call.read()

    async def test_a_wrong_type_of_request(self, talk: Talk) -> None:
        """Unlike gRPC, which would send it."""
        stub = fake(talk.stub, Join=talk.words())
        number = talk.messages.Number(value=1)
        with pytest.raises(FakeError, match=r"Talk.Echo takes drive_testing.Words, not drive_testing.Number"):
            await stub.Echo(number)
        with pytest.raises(FakeError, match=r"Talk.Join takes drive_testing.Words, not drive_testing.Number"):
            await stub.Join([number])
        call = stub.Join()
        with pytest.raises(FakeError, match=r"Talk.Join takes drive_testing.Words, not drive_testing.Number"):
            await call.write(number)
        call.cancel()

    async def test_messages_are_not_shared(self) -> None:
        """As between processes."""
        answer, request = Account(id="1"), GetAccountRequest(id="1")
        accounts = fake(AccountServiceStub, GetAccount=answer)
        (await accounts.GetAccount(request)).id = "changed"
        request.id = "changed"
        assert answer.id == "1"
        assert calls_of(accounts)[0].request.id == "1"


def letters_of(talk: Talk) -> Any:
    return talk.words("ab")


class TestCalls:
    async def test_are_recorded(self, talk: Talk) -> None:
        stub = fake(talk.stub, Echo=talk.words("x"), Join=talk.words("y"))
        await stub.Echo(talk.words("a"), timeout=2.0, metadata=(("who", "me"),))
        await stub.Join([talk.words("b"), talk.words("c")])
        echo = Call("Echo", talk.words("a"), (("who", "me"),), 2.0)
        join = Call("Join", [talk.words("b"), talk.words("c")], (), None)
        assert calls_of(stub) == [echo, join]
        assert calls_of(stub.Join) == [join]
        assert calls_of(stub.Chat) == []
        with pytest.raises(FrozenInstanceError):
            echo.method = "Other"  # type: ignore[misc]

    async def test_that_fail_are_recorded_too(self) -> None:
        accounts = fake(AccountServiceStub)
        with pytest.raises(grpc.aio.AioRpcError):
            await accounts.GetAccount(REQUEST)
        assert [call.method for call in calls_of(accounts)] == ["GetAccount"]

    def test_of_something_else_are_not_known(self) -> None:
        with pytest.raises(FakeError, match="has no record of calls"):
            calls_of(object())

    async def test_a_stream_that_is_dropped_ends(self, talk: Talk) -> None:
        """As with gRPC, where nobody can read it any more."""
        ended = asyncio.Event()

        async def spell(_request: Any) -> AsyncIterator[Any]:
            try:
                yield talk.words("a")
                await asyncio.Event().wait()
            finally:
                ended.set()

        call = fake(talk.stub, Spell=spell).Spell(talk.words())
        assert await call.read() == talk.words("a")
        del call
        gc.collect()
        await ended.wait()


class Greeter:
    """What holds a stub."""

    def __init__(self, accounts: AccountServiceStub) -> None:
        self.accounts = accounts

    async def greet(self) -> str:
        return "Hello, " + (await self.accounts.GetAccount(REQUEST)).id


class TestInPlaceOfALazyStub:
    async def test_it_reaches_what_was_built_with_the_stub(self) -> None:
        class Container(DeclarativeContainer):
            channels = Singleton(Channels)
            accounts: "Stub[AccountServiceStub]" = Stub(
                "drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint="http://127.0.0.1:1"
            )
            greeter = Singleton(Greeter, accounts)

        accounts = fake(AccountServiceStub, GetAccount=Account(id="1"))
        async with lifespan(Container()) as container:
            greeter = container.greeter()
            with override(container, accounts=accounts):
                assert await greeter.greet() == "Hello, 1"
            assert container.channels().snapshot() == []
        assert [call.request for call in calls_of(accounts)] == [REQUEST]
