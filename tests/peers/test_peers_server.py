import asyncio
import importlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from peers_support import Live, channel_to, live_peers, refused, until

from drive.peers import TOKENS, Fault, PeersInfo, run, serve_peers
from drive.proto.auth_pb2 import AuthenticateRequest
from drive.proto.auth_pb2_grpc import AuthServiceStub

METHODS = [
    method
    for name in ("auth", "account", "wallet", "realm", "leveling", "ring")
    for service in importlib.import_module(f"drive.proto.{name}_pb2").DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
AUTHENTICATE = "AuthService.Authenticate"


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with live_peers() as live:
        yield live


async def status_of(channel: grpc.aio.Channel, method: MethodDescriptor) -> StatusCode:
    call: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        await call(GetMessageClass(method.input_type)())
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


async def test_every_method_has_an_answer_to_an_empty_request(live: Live) -> None:
    """Nothing is forgotten, and nothing breaks: UNKNOWN would be an exception that escaped."""
    async with channel_to(live.peers.pass_url) as to_pass, channel_to(live.peers.ring_url) as to_ring:
        statuses = {
            f"{method.containing_service.name}.{method.name}": await status_of(
                to_ring if method.containing_service.name == "RingService" else to_pass, method
            )
            for method in METHODS
        }
    assert set(statuses.values()) == {StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED}
    assert sorted(method for method, status in statuses.items() if status is StatusCode.UNIMPLEMENTED) == [
        "AccountService.GetProfile",
        "AccountService.ListAuthFactors",
        "AccountService.ListBadges",
        "AccountService.ListConnections",
        "AccountService.ListContacts",
    ]
    assert live.world.calls == dict.fromkeys(statuses, 1)


async def test_ring_does_not_answer_for_pass(live: Live) -> None:
    async with channel_to(live.peers.ring_url) as channel:
        with refused(StatusCode.UNIMPLEMENTED):
            await AuthServiceStub(channel).Authenticate(AuthenticateRequest())
    assert not live.world.calls


async def test_a_fault_fails_calls_until_it_is_removed(live: Live) -> None:
    live.world.faults[AUTHENTICATE] = Fault(code=StatusCode.UNAVAILABLE, details="Away")
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError, match="Away") as raised:
            await live.auth.Authenticate(AuthenticateRequest())
        assert raised.value.code() is StatusCode.UNAVAILABLE
    del live.world.faults[AUTHENTICATE]
    await live.auth.Authenticate(AuthenticateRequest())
    assert live.world.calls[AUTHENTICATE] == 3


async def test_a_fault_may_hit_a_number_of_times(live: Live) -> None:
    live.world.faults[AUTHENTICATE] = Fault(code=StatusCode.INTERNAL, times=1)
    with refused(StatusCode.INTERNAL):
        await live.auth.Authenticate(AuthenticateRequest())
    await live.auth.Authenticate(AuthenticateRequest())
    assert not live.world.faults


async def test_a_fault_may_only_delay(live: Live) -> None:
    live.world.faults[AUTHENTICATE] = Fault(delay_s=0.1)
    began = time.monotonic()
    await live.auth.Authenticate(AuthenticateRequest())
    assert time.monotonic() - began >= 0.1
    with refused(StatusCode.DEADLINE_EXCEEDED):
        await live.auth.Authenticate(AuthenticateRequest(), timeout=0.02)


async def test_stopping_and_starting_keeps_the_port_and_the_world(live: Live) -> None:
    url = live.peers.pass_url
    await live.auth.Authenticate(AuthenticateRequest())
    await live.peers.pass_peer.stop()
    await live.peers.pass_peer.stop()
    with refused(StatusCode.UNAVAILABLE):
        await live.auth.Authenticate(AuthenticateRequest())
    await live.peers.pass_peer.start()
    await live.peers.pass_peer.start()
    await live.auth.Authenticate(AuthenticateRequest(), wait_for_ready=True)
    assert live.peers.pass_url == url
    assert live.world.calls[AUTHENTICATE] == 2


async def test_stopping_cuts_a_call_that_hangs(live: Live) -> None:
    live.world.faults[AUTHENTICATE] = Fault(delay_s=60)
    call = asyncio.ensure_future(live.auth.Authenticate(AuthenticateRequest()))
    await until(lambda: live.world.calls[AUTHENTICATE] > 0)
    await asyncio.wait_for(live.peers.stop(), 5)
    with pytest.raises(grpc.aio.AioRpcError):
        await asyncio.wait_for(call, 5)


async def test_a_taken_port_is_an_error_that_names_it() -> None:
    """Without a second server that gets half of the calls, and without a first one left behind."""
    async with serve_peers() as peers:
        taken = peers.ring_peer.port
        with pytest.raises(OSError, match=f"ring cannot listen on 127.0.0.1:{taken}"):
            async with serve_peers(ring_port=taken):
                pass


async def test_only_loopback_is_listened_on(live: Live) -> None:
    """Another address of this machine, even one of its own loopback network, reaches nothing."""
    assert live.peers.pass_url == f"http://127.0.0.1:{live.peers.pass_peer.port}"
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.2", live.peers.pass_peer.port))


async def test_run_serves_until_it_is_cancelled() -> None:
    ready: asyncio.Future[PeersInfo] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run(0, 0, 0, ready=ready.set_result))
    info = await asyncio.wait_for(ready, 10)
    assert info.tokens == TOKENS
    async with channel_to(info.pass_url) as channel:
        answer = await AuthServiceStub(channel).Authenticate(AuthenticateRequest(token=info.tokens["admin"]))
        assert answer.valid
    async with aiohttp.ClientSession() as session, session.get(info.page_url) as response:
        assert response.status == 200
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", int(info.page_url.rsplit(":", 1)[1])))
