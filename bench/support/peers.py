"""The stand-ins for pass and ring as a process, on ports that the system chooses unless they are given.

python -m bench.support.peers [PASS_PORT RING_PORT]
"""

import asyncio
import json
import sys

from drive import logs
from drive.cli.signals import until_stopped
from drive.peers import PeersInfo, run


def _tell(info: PeersInfo) -> None:
    line = {"event": "Listening", "pass_url": info.pass_url, "ring_url": info.ring_url, "page_url": info.page_url}
    print(json.dumps(line | {"tokens": dict(info.tokens)}), flush=True)


if __name__ == "__main__":
    logs.configure(level="warning")
    pass_port, ring_port = map(int, sys.argv[1:] or (0, 0))
    asyncio.run(until_stopped(run(pass_port, ring_port, 0, ready=_tell)))
