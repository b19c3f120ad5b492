"""Tables of what sides came to with so many clients."""

from collections.abc import Mapping, Sequence

from bench.measure import paired_ratios, summary
from bench.support.load import Loaded
from bench.tables import Goal, Row, Table

Key = tuple[str, int]
"""A side, and how many clients it had."""
Seen = Mapping[Key, Sequence[float]]
"""A figure of each, round by round."""


def by_key(rounds: Sequence[Mapping[Key, object]], field: str) -> Seen:
    """Return one figure of all that was seen, round by round."""
    return {key: [getattr(one[key], field) for one in rounds] for key in rounds[0]}


def speeds(
    title: str,
    what: str,
    unit: str,
    seen: Seen,
    base: str,
    *,
    goals: Mapping[Key, Goal] | None = None,
    left_out: Sequence[str] = (),
) -> Table:
    """Make a row of each side, those with as many clients together, with its ratio to the base, if that was measured.

    Args:
        title: of the table.
        what: the figures are, such as `Requests per second.`
        unit: of them.
        seen: those of the table's sides.
        base: the side that the ratios are to.
        goals: of some of them.
        left_out: what could not be measured here, and why.

    """
    rows = []
    for name, clients in sorted(seen, key=lambda key: key[1]):
        values, of = seen[name, clients], seen.get((base, clients))
        ratio = None if of is None or name == base else summary(paired_ratios(values, of))
        goal = None if ratio is None or goals is None else goals.get((name, clients))
        rows.append(Row(named(name, clients), summary(values), unit, ratio, goal))
    return Table(title, f"{what} The ratio is to: {base}, with as many clients.", rows, left_out)


def figures(title: str, unit: str, seen: Seen, about: str = "In the same runs.") -> Table:
    """Make a row of each side, its rows together."""
    names = [*dict.fromkeys(name for name, _ in seen)]
    keys = sorted(seen, key=lambda key: names.index(key[0]))
    return Table(title, about, [Row(named(*key), summary(seen[key]), unit) for key in keys])


def of_load(name: str, rounds: Sequence[Mapping[Key, Loaded]]) -> list[Table]:
    """Return the tables of what else was seen while wrk asked."""
    return [
        figures(f"{name}: latency, half of the requests", "ms", by_key(rounds, "p50_ms")),
        figures(f"{name}: latency, 99 of 100 requests", "ms", by_key(rounds, "p99_ms")),
        figures(f"{name}: memory", "MiB", by_key(rounds, "most_rss_mib")),
    ]


def named(name: str, clients: int) -> str:
    """Return what a row is called."""
    return f"{name}, {clients} {'client' if clients == 1 else 'clients'}"
