"""docs/lazy.md names all that drive.lazy offers."""

import re
from pathlib import Path

import drive.lazy

TEXT = Path(__file__).parents[2].joinpath("docs/lazy.md").read_text()


def test_everything_that_can_be_imported_is_explained() -> None:
    words = set(re.findall(r"\w+", TEXT))
    assert set(drive.lazy.__all__) - words == set()


def test_everything_that_is_offered_can_be_imported() -> None:
    """Also what is imported only when it is asked for."""
    assert [name for name in drive.lazy.__all__ if not hasattr(drive.lazy, name)] == []
    assert not hasattr(drive.lazy, "nonsense")
