"""Passcodes are guessed at slowly, and counting that takes little memory."""

from uuid import UUID, uuid4

import pytest

from drive.bundles.attempts import MOST_ATTEMPTS, MOST_WINDOWS, WINDOW_S, Attempts, client_at
from drive.errors import Code, DriveError

BUNDLE = UUID(int=1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def refused_for_s(attempts: Attempts, client: str = "a", bundle_id: UUID = BUNDLE) -> int | None:
    """Return after how many seconds the client may try again, None where it may now."""
    try:
        attempts.begin(bundle_id, client)
    except DriveError as error:
        return error.retry_after_s if error.code is Code.TOO_MANY_REQUESTS else -1
    return None


def test_a_client_has_ten_attempts_in_the_minute_after_the_first() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(MOST_ATTEMPTS):
        assert refused_for_s(attempts) is None
        clock.now_s += 1.5
    assert refused_for_s(attempts) == 45
    assert refused_for_s(attempts, client="b") is None
    assert refused_for_s(attempts, bundle_id=UUID(int=2)) is None
    clock.now_s = 1000.0 + WINDOW_S
    assert refused_for_s(attempts) is None


def test_a_right_passcode_is_no_attempt() -> None:
    attempts = Attempts(Clock())
    for _ in range(3 * MOST_ATTEMPTS):
        attempts.begin(BUNDLE, "a").forgive()
    assert refused_for_s(attempts) is None


def test_as_many_clients_as_there_may_be_take_bounded_memory() -> None:
    attempts = Attempts(Clock())
    for _ in range(MOST_WINDOWS):
        attempts.begin(uuid4(), "a")
    for _ in range(MOST_ATTEMPTS):
        attempts.begin(BUNDLE, "a")
    assert len(attempts._windows) == MOST_WINDOWS
    assert refused_for_s(attempts) == WINDOW_S


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::/64"),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("no address", "no address"),
        (None, ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address: str | None, client: str) -> None:
    assert client_at(address) == client
