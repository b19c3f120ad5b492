"""Passcodes are kept as slow hashes; a right one is hashed once."""

import asyncio
import hashlib
import threading
from typing import Any
from uuid import UUID

import pytest

from drive.bundles import passcodes as module
from drive.bundles.attempts import MOST_ATTEMPTS, Attempts
from drive.bundles.passcodes import Passcodes
from drive.errors import Code, DriveError

BUNDLE = UUID(int=1)
ADDRESS = "192.0.2.1"


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let hashes be cheap, and give the name of the thread of each."""
    names: list[str] = []
    real = hashlib.scrypt

    def counting(*args: Any, **named: Any) -> bytes:
        names.append(threading.current_thread().name)
        return real(*args, **named)

    monkeypatch.setattr(hashlib, "scrypt", counting)
    monkeypatch.setattr(module, "_COST", 2)
    monkeypatch.setattr(module, "_PARALLELISM", 1)
    return names


@pytest.fixture
def passcodes() -> Passcodes:
    return Passcodes(Attempts())


async def is_right(passcodes: Passcodes, passcode: str, stored: str, address: str = ADDRESS) -> bool:
    return await passcodes.is_right(passcode, stored, bundle_id=BUNDLE, address=address)


async def test_what_is_stored_says_how_it_was_made_and_not_of_what(passcodes: Passcodes) -> None:
    one, two = [await passcodes.hashed("open sesame") for _ in range(2)]
    assert one != two
    assert one.startswith("scrypt$8192$8$10$")
    assert "sesame" not in one


async def test_only_the_passcode_itself_is_right(passcodes: Passcodes, threads: list[str]) -> None:
    stored = await passcodes.hashed("caf\u00e9")
    assert await is_right(passcodes, "caf\u00e9", stored)
    assert await is_right(passcodes, "cafe\u0301", stored)
    for wrong in ("cafe", "caf\u00e9 ", "CAF\u00c9", "", stored):
        assert not await is_right(passcodes, wrong, stored)


async def test_a_hash_with_other_parameters_is_still_understood(
    passcodes: Passcodes, threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await passcodes.hashed("a")
    monkeypatch.setattr(module, "_COST", 4)
    assert await is_right(passcodes, "a", stored)


async def test_a_right_passcode_is_hashed_once_and_never_in_the_event_loop(
    passcodes: Passcodes, threads: list[str]
) -> None:
    stored = await passcodes.hashed("a")
    threads.clear()
    assert all(await asyncio.gather(*(is_right(passcodes, "a", stored) for _ in range(50))))
    assert await is_right(passcodes, "a", stored, address="192.0.2.2")
    assert len(threads) == 1
    assert threads[0].startswith("passcodes")


async def test_what_was_right_is_unknown_once_the_passcode_has_changed(
    passcodes: Passcodes, threads: list[str]
) -> None:
    stored = await passcodes.hashed("a")
    assert await is_right(passcodes, "a", stored)
    assert not await is_right(passcodes, "a", await passcodes.hashed("b"))


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(
    passcodes: Passcodes, threads: list[str]
) -> None:
    stored = await passcodes.hashed("right")
    threads.clear()
    answers = await asyncio.gather(
        *(is_right(passcodes, str(n), stored) for n in range(5 * MOST_ATTEMPTS)), return_exceptions=True
    )
    assert answers.count(False) == len(threads) == MOST_ATTEMPTS
    refused = [it for it in answers if it is not False]
    assert all(isinstance(it, DriveError) and it.code is Code.TOO_MANY_REQUESTS for it in refused)
    with pytest.raises(DriveError):
        await is_right(passcodes, "right", stored)
    assert await is_right(passcodes, "right", stored, address="192.0.2.2")
    assert await is_right(passcodes, "right", stored)  # known by now


async def test_a_guess_whose_client_leaves_counts(passcodes: Passcodes, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def hashing(_: object) -> None:
        begun.set()
        await asyncio.Future()

    monkeypatch.setattr(passcodes, "_in_thread", hashing)
    for n in range(MOST_ATTEMPTS):
        begun.clear()
        guess = asyncio.create_task(is_right(passcodes, str(n), "stored"))
        await begun.wait()
        guess.cancel()
        await asyncio.wait([guess])
    with pytest.raises(DriveError):
        await is_right(passcodes, "another", "stored")
