"""SQL by name, from the `queries.sql` beside the package that uses it."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

_SECTION = re.compile(r"^-- name: *(\w+)[ \t]*$", re.MULTILINE)
_LOOKS_LIKE_SECTION = re.compile(r"^[ \t]*--+[ \t]*name\b.*$", re.MULTILINE | re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:[ \t]*(?:--.*)?\n)*(?:[ \t]*--.*\Z)?")


class Queries(Mapping[str, str]):
    """The queries of one file, read-only."""

    __slots__ = ("_by_name", "_source")

    def __init__(self, by_name: Mapping[str, str], source: str) -> None:
        self._by_name = dict(by_name)
        self._source = source

    def __getitem__(self, name: str) -> str:
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(self._absent(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def _absent(self, name: str) -> str:
        from difflib import get_close_matches

        nearest = get_close_matches(name, self._by_name, n=1, cutoff=0)
        return f"{self._source} has no query {name!r}." + (f" Did you mean {nearest[0]!r}?" if nearest else "")


def load_queries(package: str) -> Queries:
    """Read the `queries.sql` of a package, most often `__package__`.

    Each query begins with a line `-- name: some_name`; the comment lines that follow it are for the reader.

    Raises:
        ValueError: the file has no name before its first query, a name twice, or a name without a query.

    """
    return parse(files(package).joinpath("queries.sql").read_text("utf-8"), f"queries.sql of {package}")


def parse(text: str, source: str) -> Queries:
    """Take apart the text of a file of queries; `source` names it in errors.

    Raises:
        ValueError: as `load_queries`.

    """
    head, *sections = _SECTION.split(text)
    if _COMMENTS.sub("", head).strip():
        raise ValueError(f"{source} has text before its first `-- name: …` line: {head.strip().splitlines()[0]!r}")
    queries: dict[str, str] = {}
    for name, body in zip(sections[::2], sections[1::2], strict=True):
        if name in queries:
            raise ValueError(f"{source} has the name {name!r} twice")
        queries[name] = _query(body, f"{source}, {name!r}")
    return Queries(queries, source)


def _query(body: str, where: str) -> str:
    if misspelt := _LOOKS_LIKE_SECTION.search(body):
        raise ValueError(f"{where}: write `-- name: some_name` instead of {misspelt[0].strip()!r}")
    query = _COMMENTS.sub("", body).strip()
    if not query:
        raise ValueError(f"{where} has no query")
    return query
