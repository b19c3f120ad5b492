"""SQL by name, from the `queries.sql` beside the package that uses it."""

import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping

_SECTION = re.compile(r"^-- name: *(\w+)[ \t]*$", re.MULTILINE)
_LOOKS_LIKE_SECTION = re.compile(r"^[ \t]*--+[ \t]*name\b.*$", re.MULTILINE | re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:[ \t]*(?:--.*)?\n)*(?:[ \t]*--.*\Z)?")


class Queries(Mapping[str, str]):
    """The queries of one file, read-only. It is read when the first of them is asked for."""

    __slots__ = ("_by_name", "_read", "_source")

    def __init__(self, read: Callable[[], Mapping[str, str]], source: str) -> None:
        self._read = read
        self._source = source
        self._by_name: Mapping[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        try:
            return self._queries[name]
        except KeyError:
            raise KeyError(self._absent(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    @property
    def _queries(self) -> Mapping[str, str]:
        if self._by_name is None:
            self._by_name = self._read()
        return self._by_name

    def _absent(self, name: str) -> str:
        from difflib import get_close_matches

        nearest = get_close_matches(name, self._queries, n=1, cutoff=0)
        return f"{self._source} has no query {name!r}." + (f" Did you mean {nearest[0]!r}?" if nearest else "")


def load_queries(package: str) -> Queries:
    """Return the queries of the `queries.sql` of a package, most often `__package__`.

    Each query begins with a line `-- name: some_name`; the comment lines that follow it are for the reader. Reading is
    put off, and `importlib.resources` is not used, since both would cost memory in a process that asks nothing yet.

    Raises:
        ValueError: at first use, where the file has no name before its first query, a name twice, or a name without a
            query.

    """
    source = f"queries.sql of {package}"
    return Queries(lambda: parse((pkgutil.get_data(package, "queries.sql") or b"").decode(), source), source)


def parse(text: str, source: str) -> Mapping[str, str]:
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
    return queries


def _query(body: str, where: str) -> str:
    if misspelt := _LOOKS_LIKE_SECTION.search(body):
        raise ValueError(f"{where}: write `-- name: some_name` instead of {misspelt[0].strip()!r}")
    query = _COMMENTS.sub("", body).strip()
    if not query:
        raise ValueError(f"{where} has no query")
    return query
