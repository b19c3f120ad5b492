"""docs/metrics.md, docs/monitoring.md and docs/grafana.json name the metrics that there are, and no others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drive.monitor.metrics import METRICS, Metric

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
BY_NAME = {one.name: one for one in METRICS}
OF_PROMETHEUS = {"job", "instance", "le"}
_METRIC = re.compile(r"\bdrive_[a-z_]+")
_SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def row(one: Metric) -> str:
    return f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.doc} |"


def panels() -> list[Any]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")


def metrics_in(expression: str) -> set[str]:
    """Return the metrics that an expression is about: a histogram by its own name."""
    found = {name if name in BY_NAME else _SUFFIXES.sub("", name) for name in _METRIC.findall(expression)}
    assert found <= BY_NAME.keys(), expression
    return found


def labels_in(text: str) -> set[str]:
    """Return the labels that an expression selects, groups or matches by."""
    selected = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", text)
    grouped = [
        name for names in re.findall(r"(?:by|without|ignoring|on) \(?([a-z_, ]+)\)", text) for name in names.split(", ")
    ]
    return {*selected, *grouped}


@pytest.mark.parametrize("one", METRICS, ids=lambda one: one.name)
def test_every_metric_is_documented(one: Metric) -> None:
    assert row(one) in (DOCS / "metrics.md").read_text(), f"docs/metrics.md lacks this line:\n{row(one)}"


def test_no_other_metric_is_documented() -> None:
    rows = re.findall(r"^\| `(drive_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert rows == [one.name for one in METRICS]


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = {name for expression in expressions() for name in metrics_in(expression)}
    assert shown == BY_NAME.keys()


def test_the_dashboard_and_the_alerts_use_labels_that_their_metrics_have() -> None:
    """Also in legends."""
    for panel in panels():
        for target in panel["targets"]:
            have = {label for name in metrics_in(target["expr"]) for label in BY_NAME[name].labels} | OF_PROMETHEUS
            assert labels_in(target["expr"]) <= have, panel["title"]
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= have, panel["title"]
    for alert in alerts():
        have = {label for name in metrics_in(alert) for label in BY_NAME[name].labels} | OF_PROMETHEUS
        assert labels_in(alert) <= have, alert


def test_rates_are_of_counters_and_of_nothing_else() -> None:
    """A counter shown as it is grows for ever; the rate of a gauge means nothing."""
    for expression in (*expressions(), *alerts()):
        for name in metrics_in(expression):
            is_counted = BY_NAME[name].kind != "gauge"
            rated = re.search(rf"rate\({name}(_bucket|_sum|_count)?\b", expression) is not None
            assert rated == is_counted, expression


def alerts() -> list[str]:
    """Return the expressions of the table of alerts that are about our metrics."""
    text = (DOCS / "monitoring.md").read_text().replace("\\|", "|")
    return [one for one in re.findall(r"^\| [^|`]+ \| `(.+)` \|$", text, re.MULTILINE) if _METRIC.search(one)]


def test_there_are_alerts() -> None:
    assert len(alerts()) >= 5


def test_each_panel_has_a_title_a_unit_and_a_place_of_its_own() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    assert [panel["title"] for panel in panels() if not panel["fieldConfig"]["defaults"]["unit"]] == []
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
