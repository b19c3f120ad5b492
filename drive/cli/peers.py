"""`drive peers`."""

import asyncio

from drive import logs
from drive.cli.serve import stop_signal
from drive.peers import PeersInfo, run


def peers(pass_port: int, ring_port: int, page_port: int) -> int:
    """Run the stand-ins until SIGTERM or Ctrl-C."""
    logs.configure(level="warning")
    asyncio.run(_run(pass_port, ring_port, page_port))
    return 0


async def _run(pass_port: int, ring_port: int, page_port: int) -> None:
    stop = stop_signal()
    running = asyncio.create_task(run(pass_port, ring_port, page_port, ready=_greet))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.done():
        running.result()  # a port that is taken, for example
    running.cancel()
    await asyncio.wait([running])


def _greet(info: PeersInfo) -> None:
    tokens = "\n".join(f"  {name:<12} {token}" for name, token in info.tokens.items())
    text = f"""DRIVE_PASS_ENDPOINT={info.pass_url}
DRIVE_RING_ENDPOINT={info.ring_url}
What they know, and every packet pushed: {info.page_url}
Tokens:
{tokens}
Ctrl-C ends them."""
    print(text, flush=True)  # noqa: T201 - this is the terminal
