"""Development stand-ins for `pass` and `ring`: real gRPC servers on loopback, with everything in memory.

For the demo and the tests. Nothing that serves people imports this.
"""

from drive.peers.command import PeersInfo, run, serve_page
from drive.peers.page import routes
from drive.peers.seed import TOKENS, development
from drive.peers.server import Peer, Peers, serve_peers
from drive.peers.world import Account, Fault, Perk, World

__all__ = [
    "TOKENS",
    "Account",
    "Fault",
    "Peer",
    "Peers",
    "PeersInfo",
    "Perk",
    "World",
    "development",
    "routes",
    "run",
    "serve_page",
    "serve_peers",
]
