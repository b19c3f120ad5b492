"""docs/logs.md lists what is logged."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOGGED = re.compile(r"log\.(debug|info|warning|error|exception)\(\s*((?:\"[^\"]+\"(?: if [^\"]+ else )?)+)")


def logged() -> set[tuple[str, str]]:
    """Return event and level of every log line in the source."""
    found = set()
    for file in ROOT.joinpath("drive").rglob("*.py"):
        for level, events in LOGGED.findall(file.read_text()):
            for event in re.findall(r'"([^"]+)"', events):
                found.add((event, "error" if level == "exception" else level))
    return found


def test_every_log_event_is_documented_with_its_level_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([^`]+)` \| (\w+) \|", ROOT.joinpath("docs/logs.md").read_text(), re.MULTILINE))
    assert documented == logged()
