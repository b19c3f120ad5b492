"""Messages beside requests: in order, without waiting, and without a trace at the end."""

import asyncio
from functools import partial

import pytest

from drive.clients.outbox import Outbox


@pytest.fixture
def dropped() -> list[str]:
    return []


async def test_messages_of_a_lane_leave_in_order_and_all(dropped: list[str]) -> None:
    outbox, sent = Outbox(), list[int]()

    async def send(number: int) -> None:
        await asyncio.sleep(0)
        sent.append(number)

    for n in range(500):
        outbox.post("a", partial(send, n), dropped.append)
    await outbox.drain(timeout_s=10)
    assert (sent, dropped) == (list(range(500)), [])


async def test_a_lane_that_is_stuck_holds_no_other_up(dropped: list[str]) -> None:
    outbox, sent = Outbox(), asyncio.Event()

    async def send() -> None:
        sent.set()

    outbox.post("stuck", asyncio.Event().wait, dropped.append)
    outbox.post("free", send, dropped.append)
    async with asyncio.timeout(10):
        await sent.wait()
    await outbox.drain(timeout_s=0)
    assert dropped == []


async def test_a_failure_is_told_and_the_next_message_leaves(dropped: list[str]) -> None:
    outbox, sent = Outbox(), list[int]()

    async def fail() -> None:
        raise ConnectionError

    async def send() -> None:
        sent.append(1)

    outbox.post("a", fail, dropped.append)
    outbox.post("a", send, dropped.append)
    await outbox.drain(timeout_s=10)
    assert (sent, dropped) == ([1], ["ConnectionError"])
    outbox.post("a", send, dropped.append)
    await outbox.drain(timeout_s=10)
    assert sent == [1, 1]


async def test_what_a_lane_cannot_hold_is_dropped_and_told(dropped: list[str]) -> None:
    outbox = Outbox()
    for _ in range(1002):
        outbox.post("slow", asyncio.Event().wait, dropped.append)
    assert dropped == ["slow is too slow"] * 2
    await outbox.drain(timeout_s=0)


async def test_draining_leaves_no_task_behind(dropped: list[str]) -> None:
    before, outbox = asyncio.all_tasks(), Outbox()
    await outbox.drain(timeout_s=0)
    outbox.post("stuck", asyncio.Event().wait, dropped.append)
    await outbox.drain(timeout_s=0)
    assert asyncio.all_tasks() == before
