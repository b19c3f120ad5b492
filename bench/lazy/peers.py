"""The frameworks that `drive.lazy` is compared with. `scripts/bench` installs them; the tests do without."""

from importlib.util import find_spec
from typing import Final

PEERS: Final = ("dishka", "that-depends", "wireup")


def is_installed(peer: str) -> bool:
    """Tell whether a peer can be measured here."""
    return find_spec(peer.replace("-", "_")) is not None
