"""docs/differences.md goes through all of the original's defects, and names tests that there are."""

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = ROOT.joinpath("docs/differences.md").read_text()
DEFECTS = range(1, 51)
NOT_OURS = "not this service"


def table() -> list[list[str]]:
    """Return the cells of the rows that begin with a number."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line[:2] == "| "]
    return [row for row in rows if row[0].isdecimal()]


def named_in(cell: str) -> list[str]:
    return [] if cell == NOT_OURS else [name.strip("`") for name in cell.split("<br>")]


def names_in(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield the tests of a module, those of a class as `TestClass::test_name`."""
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from names_in(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name


@functools.cache
def names_of(file: Path) -> frozenset[str]:
    """Return the tests of a file, without importing anything; none where it is no file of tests."""
    if not (file.match("test_*.py") and file.is_file()):
        return frozenset()
    return frozenset(names_in(ast.parse(file.read_text()).body))


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return name in names_of(ROOT / path)


def test_every_defect_has_exactly_one_row() -> None:
    assert Counter(int(row[0]) for row in table()) == Counter(DEFECTS)


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_every_defect_is_kept_out_by_tests_that_there_are(row: list[str]) -> None:
    number, wrong, holds, held_by = row
    assert wrong, f"{number} does not say what went wrong"
    assert holds, f"{number} does not say what holds here"
    assert held_by == NOT_OURS or named_in(held_by), f"{number} has no test"
    assert [test for test in named_in(held_by) if not exists(test)] == [], f"{number} names tests that there are not"


def test_only_what_has_nothing_to_do_with_this_service_has_no_test() -> None:
    assert {int(row[0]) for row in table() if row[3] == NOT_OURS} == {4}


@pytest.mark.parametrize(
    "test", ["", "tests/docs/test_differences.py", "tests/docs/test_differences.py::exists", "docs/api.md::test_x"]
)
def test_what_is_no_test_is_not_taken_for_one(test: str) -> None:
    assert not exists(test)
