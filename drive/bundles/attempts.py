"""How often a passcode may be guessed at."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from drive.errors import Code, DriveError

MOST_ATTEMPTS = 10
WINDOW_S = 60.0
MOST_WINDOWS = 10_000
"""How many are remembered; then the oldest goes, which is the next to end."""

_NETWORK_BITS = 64


@dataclass(slots=True)
class Window:
    """The attempts of one client at one bundle within a minute of the first."""

    ends_s: float
    attempts: int = 0

    def forgive(self) -> None:
        """Take an attempt back: the passcode was right."""
        self.attempts -= 1


class Attempts:
    """Counts attempts by bundle and client, in this process's memory."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._windows: OrderedDict[tuple[UUID, str], Window] = OrderedDict()

    def begin(self, bundle_id: UUID, client: str) -> Window:
        """Count an attempt, before it is known whether the passcode is right: many at once must not all be tried.

        Raises:
            DriveError: TOO_MANY_REQUESTS.

        """
        now_s = self._clock_s()
        window = self._windows.get((bundle_id, client))
        if window is None or window.ends_s <= now_s:
            window = self._open(bundle_id, client, now_s)
        if window.attempts >= MOST_ATTEMPTS:
            message = "Too many wrong passcodes. Wait before you try again."
            raise DriveError(Code.TOO_MANY_REQUESTS, message, retry_after_s=math.ceil(window.ends_s - now_s))
        window.attempts += 1
        return window

    def _open(self, bundle_id: UUID, client: str, now_s: float) -> Window:
        window = self._windows[bundle_id, client] = Window(now_s + WINDOW_S)
        self._windows.move_to_end((bundle_id, client))
        if len(self._windows) > MOST_WINDOWS:
            self._windows.popitem(last=False)
        return window


def client_at(address: str | None) -> str:
    """Return whom attempts from this address count for: of IPv6, one client has a whole /64 to choose from."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or f"{int(parsed) >> _NETWORK_BITS:x}::/{_NETWORK_BITS}")
