"""`Stub` gives the generated async stub: its methods, their requests and their answers are checked."""

from typing import assert_type

from dependency_injector.providers import Provider, Singleton
from grpc.aio import UnaryUnaryCall

from drive.lazy import Channels, Stub
from drive.proto.account_pb2 import Account, GetAccountRequest, GetAccountStatusBatchResponse
from drive.proto.account_pb2_grpc import AccountServiceStub
from drive.proto.ring_pb2_grpc import RingServiceStub
from typing_tests.wiring import ACCOUNTS, Container, Settings


def a_provider_gives_the_generated_stub(container: Container) -> None:
    """Each its own."""
    assert_type(container.accounts, Stub[AccountServiceStub])
    assert_type(container.accounts(), AccountServiceStub)
    assert_type(container.ring(), RingServiceStub)


async def a_call_gives_the_answer(container: Container) -> None:
    """And what gRPC's own call object has."""
    accounts = container.accounts()
    call = accounts.GetAccount(GetAccountRequest(id="1"), timeout=1.0, metadata=(("who", "me"),))
    assert_type(call, UnaryUnaryCall[GetAccountRequest, Account])
    assert_type(await call, Account)
    assert_type((await accounts.GetAccount(GetAccountRequest(id="1"))).nick, str)
    assert_type(call.cancel(), bool)


async def a_wrong_call_is_refused(container: Container) -> None:
    """A method that is none, a request of another method, an argument that gRPC does not take, another answer."""
    accounts = container.accounts()
    accounts.GetAcount(GetAccountRequest())  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    accounts.GetAccountBatch(GetAccountRequest())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    accounts.GetAccount({"id": "1"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    accounts.GetAccount(GetAccountRequest(), deadline=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    answer: GetAccountStatusBatchResponse = await accounts.GetAccount(GetAccountRequest())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del answer


def a_wrong_declaration_is_refused(channels: Singleton[Channels], settings: Singleton[Settings]) -> None:
    """An endpoint or a deadline of another type, an unknown keyword, what is no path, what gives no channels."""
    Stub[AccountServiceStub](ACCOUNTS, channels, endpoint=5001)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    Stub[AccountServiceStub](ACCOUNTS, channels, endpoint=Provider[int]())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Stub[AccountServiceStub](ACCOUNTS, channels, endpont="http://pass")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, channels, "http://pass")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, channels, timeout_s="5")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](AccountServiceStub, channels)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, settings)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, Channels())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, channels)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Stub[AccountServiceStub](ACCOUNTS, endpoint="http://pass")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
