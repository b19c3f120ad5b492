"""`drive peers`."""

import asyncio

from drive import logs
from drive.cli.errors import CommandError
from drive.cli.signals import until_stopped
from drive.peers import PeersInfo, run


def peers(pass_port: int, ring_port: int, page_port: int) -> int:
    """Run the stand-ins until SIGTERM or Ctrl-C."""
    logs.configure(level="warning")
    try:
        asyncio.run(until_stopped(run(pass_port, ring_port, page_port, ready=_greet)))
    except OSError as error:  # a port that is taken
        raise CommandError(str(error)) from error
    return 0


def _greet(info: PeersInfo) -> None:
    tokens = "\n".join(f"  {name:<12} {token}" for name, token in info.tokens.items())
    text = f"""DRIVE_PASS_ENDPOINT={info.pass_url}
DRIVE_RING_ENDPOINT={info.ring_url}
What they know, and every packet pushed: {info.page_url}
Tokens:
{tokens}
Ctrl-C ends them."""
    logs.write_line(text)
