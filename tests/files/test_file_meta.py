"""What may be noted of a file."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive.errors import DriveError
from drive.files.meta import MOST_KEYS, MOST_LEVELS, check_meta

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=10)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(1e-30, 1e18) | st.floats(-1e18, -1e-30)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def levels(value: Any) -> int:
    """Count in another way than the code does."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


def is_refused(meta: dict[str, Any]) -> bool:
    try:
        check_meta(meta)
    except DriveError:
        return True
    return False


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_ordinary_metadata_is_taken_up_to_a_depth(meta: dict[str, Any]) -> None:
    assert is_refused(meta) == (levels(meta) > MOST_LEVELS)


@given(st.integers(1, 40))
def test_the_depth_is_counted_from_the_object_itself(depth: int) -> None:
    meta: Any = {}
    for n in range(depth - 1):
        meta = {"a": meta} if n % 2 or n == depth - 2 else [meta]
    assert levels(meta) == depth
    assert is_refused(meta) == (depth > MOST_LEVELS)


@pytest.mark.parametrize("spread", [1, 2, 16])
def test_keys_are_counted_wherever_they_are(spread: int) -> None:
    def meta(keys: int) -> dict[str, Any]:
        parts: dict[str, Any] = {str(n): [{}] for n in range(spread)}
        for n in range(keys - spread):
            parts[str(n % spread)][0][str(n)] = None
        return parts

    assert not is_refused(meta(MOST_KEYS))
    assert is_refused(meta(MOST_KEYS + 1))


@pytest.mark.parametrize(
    "value", ["\x00", "a\x00b", "\ud800", 2**63, -(2**63) - 1, 1e300, -1e20, 1e-31, math.inf, -math.inf, math.nan]
)
def test_what_the_database_cannot_hold_is_refused_wherever_it_is(value: Any) -> None:
    assert is_refused({"a": value})
    assert is_refused({"a": [{"b": [value]}]})
    if isinstance(value, str):
        assert is_refused({"a": {value: 1}})
