"""docs/settings.md says what the code says."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from drive.settings import PROFILES, Settings, variable

TEXT = Path(__file__).parents[2].joinpath("docs/settings.md").read_text()


def row(one: Any) -> str:
    default = one.default if one.default not in {None, ""} else "unset"
    return f"| `{variable(one.name)}` | {default} | {one.metadata['original'] or ''} | {one.metadata['doc']} |"


@pytest.mark.parametrize("one", fields(Settings), ids=lambda one: one.name)
def test_every_setting_is_documented_with_its_default(one: Any) -> None:
    assert row(one) in TEXT, f"docs/settings.md lacks this line:\n{row(one)}"


def test_no_other_setting_is_documented() -> None:
    documented = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `DRIVE_")}
    assert documented == {variable(one.name) for one in fields(Settings)}


def test_what_the_profile_changes_is_documented_line_by_line() -> None:
    _, _, section = TEXT.partition("## The original's values")
    documented = [line for line in section.splitlines() if line.startswith("| `DRIVE_")]
    assert documented == [f"| `{variable(name)}` | {value} |" for name, value in PROFILES["original"].items()]
