import re
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drive
from drive.db.queries import Queries, load_queries, parse
from drive.files.lists import matching


def queries_of(text: str, source: str = "some.sql") -> Queries:
    return Queries(lambda: parse(text, source), source)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30).filter(
    lambda line: not line.strip().startswith("--")
)
BODIES = st.lists(LINES, min_size=1, max_size=5).map("\n".join).filter(str.strip)
COMMENTS = st.lists(
    LINES.filter(lambda line: not line.lower().strip().startswith("name")).map(lambda line: f"-- {line}")
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, COMMENTS, BODIES), unique_by=lambda section: section[0]))
def test_a_file_reads_as_it_was_written(sections: list[tuple[str, list[str], str]]) -> None:
    text = "".join("\n".join([f"-- name: {name}", *comments, body]) + "\n\n" for name, comments, body in sections)

    queries = queries_of(text)

    assert dict(queries) == {name: body.strip() for name, _, body in sections}
    assert len(queries) == len(sections)


def test_comments_after_a_name_are_for_the_reader() -> None:
    text = "-- All about things.\n\n-- name: one\n-- Counts.\n--\n\n-- $1 what\nselect 1 -- one\n-- and\n;\n"

    assert parse(text, "some.sql")["one"] == "select 1 -- one\n-- and\n;"


def test_an_absent_name_is_told_with_the_file_and_the_nearest_name() -> None:
    queries = queries_of("-- name: by_id\nselect 1\n-- name: listed\nselect 2\n", "queries.sql of drive.things")

    with pytest.raises(KeyError, match=r"queries\.sql of drive\.things has no query 'by_ids'\. Did you mean 'by_id'\?"):
        queries["by_ids"]
    assert queries.get("by_ids") is None


def test_an_absent_name_of_an_empty_file_is_told() -> None:
    with pytest.raises(KeyError, match="has no query 'x'"):
        queries_of("")["x"]


def test_queries_cannot_be_changed() -> None:
    queries = queries_of("-- name: one\nselect 1\n")

    with pytest.raises(TypeError):
        queries["one"] = "select 2"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("select 1;\n-- name: one\nselect 1", "text before its first"),
        ("-- name one\nselect 1", "text before its first"),
        ("-- name: one\nselect 1\n-- name: one\nselect 2", "the name 'one' twice"),
        ("-- name: one\n-- only words\n", "'one' has no query"),
        ("-- name: one\n-- name: two\nselect 1", "'one' has no query"),
        ("-- name: one\nselect 1\n--name: two\nselect 2", "instead of '--name: two'"),
        ("-- name: one\nselect 1\n-- name: two words\nselect 2", "instead of '-- name: two words'"),
        ("-- name: one\nselect 1\n  -- Name: two\nselect 2", "instead of '-- Name: two'"),
    ],
)
def test_a_malformed_file_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text, "some.sql")


def test_a_package_is_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "things_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "queries.sql").write_text("-- name: one\nselect 'é'\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    assert load_queries("things_of_a_test")["one"] == "select 'é'"


async def test_every_query_of_the_service_fits_the_schema(database_url: str) -> None:
    """What is put in by name is a condition, a number or a part of a statement here."""
    put_in = {
        "{which}": "$1::text is not null",
        "{match}": "true",
        "{page}": "1",
        "{first_files}": load_queries("drive.files")["first_files"],
        "{total}": load_queries("drive.files")["counted_total"].replace("{match}", matching("part")),
        "{kinds}": "array[true]",
        "{count}": "file_count",
        "{recycled_count}": "recycled_count",
        "{order}": "now()",
        "{these}": "select *, 1 as place from files",
    }
    connection = await asyncpg.connect(database_url)
    root = Path(drive.__file__).parent
    for path in sorted(root.rglob("queries.sql")):
        package = ".".join(path.parent.relative_to(root.parent).parts)
        queries = load_queries(package)
        parts = put_in | {f"{{{name}}}": query for name, query in queries.items()}
        for name, query in queries.items():
            if any(f"{{{name}}}" in other for other in queries.values()):
                continue  # a part of another
            try:
                await connection.prepare(_filled(query, parts))
            except asyncpg.PostgresError as error:
                pytest.fail(f"{package}, {name!r}: {error}")
    await connection.close()


def _filled(query: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{\w+\}", lambda match: _filled(parts[match[0]], parts), query)
