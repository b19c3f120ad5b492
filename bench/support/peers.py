"""The stand-ins for pass and ring as a process, on ports that the system chooses."""

import asyncio
import json

from drive import logs
from drive.cli.signals import until_stopped
from drive.peers import PeersInfo, run


def _tell(info: PeersInfo) -> None:
    line = {"event": "Listening", "pass_url": info.pass_url, "ring_url": info.ring_url, "page_url": info.page_url}
    print(json.dumps(line | {"tokens": dict(info.tokens)}), flush=True)


if __name__ == "__main__":
    logs.configure(level="warning")
    asyncio.run(until_stopped(run(0, 0, 0, ready=_tell)))
