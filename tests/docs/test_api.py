"""docs/api.md says what is served."""

import re
from pathlib import Path

from drive.errors import Code
from drive.routes import ROUTES

TEXT = Path(__file__).parents[2].joinpath("docs/api.md").read_text()


def served() -> set[str]:
    return {f"{route.method} {re.sub(r':[^/]*}', '}', route.path)}" for route in ROUTES}


def test_exactly_the_served_routes_are_documented() -> None:
    documented = set(
        re.findall(r"^\| `((?:GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) [^`]+)` \|", TEXT, flags=re.MULTILINE)
    )
    assert documented == served()


def test_exactly_the_error_codes_are_documented_with_their_status() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", TEXT, flags=re.MULTILINE))
    assert documented == {(code.name, str(code.value.http)) for code in Code}
