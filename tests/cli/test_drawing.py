"""`drive graph`."""

import re

from support.process import drive, environment


async def test_it_draws_every_part_and_what_it_needs_as_mermaid() -> None:
    finished = await drive("graph")
    assert (finished.status, finished.stderr) == (0, "")
    heading, *lines = finished.stdout.splitlines()
    assert heading == "flowchart LR"
    assert '    accounts["accounts<br/><small>Stub</small>"]' in lines
    assert "    accounts --> channels" in lines
    drawn = re.compile(r' {4}\w+(\["[\w.]+<br/><small>\w+</small>"\]| --> \w+)')
    assert [line for line in lines if not drawn.fullmatch(line)] == []


async def test_it_needs_no_settings() -> None:
    """Which part needs which does not depend on them: they may be wrong."""
    finished = await drive("graph", env=environment(DRIVE_PASS_ENDPOINT="pass:5001", DRIVE_SETTINGS_FILE="/absent"))
    assert (finished.status, finished.stderr) == (0, "")
    assert finished.stdout == (await drive("graph")).stdout
