"""`drive peers`."""

import asyncio
import re
import signal
import time
from asyncio.subprocess import PIPE

import aiohttp
import grpc.aio
import pytest
from support.process import DRIVE, environment

from drive.peers.seed import PLAIN_ID
from drive.proto.auth_pb2 import AuthenticateRequest
from drive.proto.auth_pb2_grpc import AuthServiceStub
from drive.proto.ring_pb2 import GetWebsocketConnectionStatusRequest
from drive.proto.ring_pb2_grpc import RingServiceStub

MOST_S = 6.0  # two seconds are promised; the rest is for a machine that does other things meanwhile
PATIENCE_S = 30.0
ANY_PORTS = ("--pass-port", "0", "--ring-port", "0", "--page-port", "0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_where_it_answers_and_ends_on_a_signal(number: signal.Signals) -> None:
    """Each endpoint that it prints, as the setting to write, is one that answers, with each token that it prints."""
    process = await asyncio.create_subprocess_exec(
        *DRIVE, "peers", *ANY_PORTS, env=environment(), stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    try:
        said = (await asyncio.wait_for(process.stdout.readuntil(b"Ctrl-C ends them.\n"), PATIENCE_S)).decode()
        found = re.match(r"DRIVE_PASS_ENDPOINT=http://(\S+)\nDRIVE_RING_ENDPOINT=http://(\S+)\n.*(http://\S+)", said)
        assert found, said
        tokens = dict(re.findall(r"^  (\w+) +(\S+)$", said, re.MULTILINE))
        assert tokens.keys() == {"plain", "subscriber", "admin"}

        async with grpc.aio.insecure_channel(found[1]) as channel:
            for name, token in tokens.items():
                answer = await AuthServiceStub(channel).Authenticate(AuthenticateRequest(token=token))
                assert answer.session.account.name == name
        async with grpc.aio.insecure_channel(found[2]) as channel:
            status = GetWebsocketConnectionStatusRequest(user_id=PLAIN_ID)
            assert (await RingServiceStub(channel).GetWebsocketConnectionStatus(status)).is_connected
        async with aiohttp.ClientSession() as session, session.get(found[3]) as page:
            assert page.status == 200
    finally:
        begun_s = time.monotonic()
        process.send_signal(number)
        _, complaints = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert time.monotonic() - begun_s < MOST_S
    assert (process.returncode, complaints) == (0, b"")
