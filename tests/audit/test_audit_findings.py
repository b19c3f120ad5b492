"""Each kind of finding, exactly where it is, and none where nothing is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from audit_support import (
    FORMATS,
    PASS,
    PREFIXES,
    RING,
    Record,
    as_demo,
    as_json,
    audited,
    closing,
    creating,
    found,
    line,
    listening,
    moment,
    reopening,
    stopping,
    working,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from drive.audit.events import UnreadableError, parse
from drive.audit.model import Kind

UNKNOWN = "http://elsewhere:5001"

CLEAN = [
    listening(1, 0, started_s=-0.5),
    creating(1, 1.5, PASS),
    creating(1, 1.6, RING),
    closing(1, 5, PASS),
    reopening(1, 7, PASS),
    stopping(1, 8),
    closing(1, 8.1, PASS, "shutdown"),
    closing(1, 8.2, RING, "shutdown"),
]


def test_a_service_that_did_all_rightly_has_no_finding(tmp_path: Path) -> None:
    report = audited(write(tmp_path / "app.log", CLEAN), expected={"pass": 1, "ring": 1})
    assert (found(report), report.status) == ([], 0)
    (process,) = report.processes
    channel = process.channels[PASS]
    assert (process.kind, process.has_ended) == ("serve", True)
    assert (channel.created, channel.reopened, channel.closed) == (1, 1, {"idle": 1, "shutdown": 1})
    assert (channel.service, channel.max_connections, len(channel.open)) == ("AuthService", 2, 0)
    assert process.started_at_us is not None
    assert channel.created_at_us == process.started_at_us + 2_000_000


def test_every_opening_and_closing_is_counted(tmp_path: Path) -> None:
    idle = [record for n in range(2, 8, 2) for record in (closing(1, n), reopening(1, n + 1))]
    report = audited(
        write(tmp_path / "app.log", [listening(1, 0), creating(1, 1), *idle, closing(1, 9), closing(1, 9)])
    )
    channel = report.processes[0].channels[PASS]
    assert (channel.created, channel.reopened, channel.closed, len(channel.open)) == (1, 3, {"idle": 5}, 0)


START = listening(1, 0, started_s=-1)
WRONG: dict[str, tuple[list[Record], list[tuple[str, str]]]] = {
    "created twice": ([START, creating(1, 1), closing(1, 2), creating(1, 3)], [("CREATED_TWICE", "app.log:4")]),
    "created thrice": (
        [START, creating(1, 1), creating(1, 3), creating(1, 4)],
        [("CREATED_TWICE", "app.log:3"), ("CREATED_TWICE", "app.log:4")],
    ),
    "created before it listened": ([creating(1, -0.5), START], [("NOT_LAZY", "app.log:1")]),
    "created before it listened, of an older version": (
        [creating(1, -0.5, is_asked=False), listening(1, 0)],
        [("NOT_LAZY", "app.log:1")],
    ),
    "created before it listened, by the successor of one with its pid": (
        [
            START,
            creating(1, 1),
            stopping(1, 2),
            closing(1, 2, reason="shutdown"),
            creating(1, 5),
            listening(1, 6, started_s=4),
        ],
        [("NOT_LAZY", "app.log:5")],
    ),
    "created by no request": ([START, creating(1, 1, is_asked=False)], [("NOT_LAZY", "app.log:2")]),
    "created by the worker before it took jobs": (
        [creating(1, -0.5, is_asked=False), working(1, 0, started_s=-1)],
        [("NOT_LAZY", "app.log:1")],
    ),
    "an endpoint that no setting names": ([START, creating(1, 1, UNKNOWN)], [("UNKNOWN_ENDPOINT", "app.log:2")]),
    "never closed": ([START, creating(1, 1), stopping(1, 2)], [("NEVER_CLOSED", "app.log:2")]),
    "never closed once it was reopened": (
        [START, creating(1, 1), closing(1, 2), reopening(1, 3), stopping(1, 4)],
        [("NEVER_CLOSED", "app.log:4")],
    ),
    "never closed, for it was killed": (
        [START, creating(1, 1), listening(1, 9, started_s=8)],
        [("NEVER_CLOSED", "app.log:2")],
    ),
    "never closed, for it was killed, and its start is not in the log": (
        [creating(1, 1), listening(1, 5), creating(1, 6)],
        [("NEVER_CLOSED", "app.log:1")],
    ),
    "never closed by the one that had the pid before, whose start is not in the log": (
        [creating(1, -5, is_asked=False), listening(1, 0, started_s=-1), creating(1, 1)],
        [("NEVER_CLOSED", "app.log:1")],
    ),
    "more connections than the cap": ([START, creating(1, 1, max_connections=3)], [("CONNECTIONS", "app.log:2")]),
    "more connections than the cap, told once for as many": (
        [
            START,
            creating(1, 1, max_connections=3),
            closing(1, 2),
            reopening(1, 3) | {"max_connections": 3},
            reopening(1, 4) | {"max_connections": 4},
        ],
        [("CONNECTIONS", "app.log:2"), ("CONNECTIONS", "app.log:5")],
    ),
    "any number of connections": ([START, creating(1, 1, max_connections=0)], [("CONNECTIONS", "app.log:2")]),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_kind_is_found_with_its_line(case: str, tmp_path: Path) -> None:
    records, findings = WRONG[case]
    report = audited(write(tmp_path / "app.log", records))
    assert (found(report), report.status) == (findings, 1)


RIGHT: dict[str, list[Record]] = {
    "still running": [START, creating(1, 1)],
    "a worker's jobs have no request": [working(1, 0, started_s=-1), creating(1, 1, is_asked=False)],
    "work that a request has left behind": [START, creating(1, 1), creating(1, 2, RING, is_asked=False)],
    "the log begins later": [closing(1, 0), reopening(1, 1), closing(1, 2)],
    "the log begins in a process that was killed": [closing(1, 0), listening(1, 1), creating(1, 2)],
    "a restart with the same pid": [*CLEAN, listening(1, 20, started_s=19), creating(1, 21), creating(1, 22, RING)],
    "an older version's restart": [
        listening(1, 0), creating(1, 1), closing(1, 2, reason="shutdown"), listening(1, 4), creating(1, 5),
    ],
    "an older version's restart, its start not in the log": [
        creating(1, 1, is_asked=False),
        closing(1, 2, reason="shutdown"),
        listening(1, 4),
        creating(1, 5),
    ],
    "gRPC is listened for, too": [START, line("Listening", 1, 0.1, url="http://a:1", protocol="gRPC"), creating(1, 1)],
    "fewer connections than the cap": [START, creating(1, 1, max_connections=1)],
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_no_finding(case: str, tmp_path: Path) -> None:
    report = audited(write(tmp_path / "app.log", RIGHT[case]))
    assert (found(report), report.status) == ([], 0)


def test_the_same_pid_in_another_container_is_another_process(tmp_path: Path) -> None:
    """In one stream, by the container's name; in files, by the file's."""
    records = [START, creating(1, 1)]
    stream = tmp_path / "all.log"
    stream.write_text("".join(f"serve-{n}  | {as_json(record)}\n" for record in records for n in (1, 2)))
    one, other = (write(tmp_path / f"serve-{n}.log", records) for n in (1, 2))
    for report in (audited(stream), audited(one, other)):
        assert found(report) == []
        assert len(report.processes) == 2


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["app.log.2", "app.log.1", "app.log"], as_json),
        (["app.log.2", "app.log.1", "app.log"], as_demo),
        (["app.log-20261122", "app.log-20261123", "app.log"], as_json),
        (["0.log.20261124-035825", "0.log.20261124-045825", "0.log"], as_json),
        (["app-2026-11-22.log", "app-2026-11-23.log", "app.log"], as_json),
    ],
)
def test_rotated_files_are_one_log_in_whatever_order_they_are_named(
    names: list[str], form: Callable[[Record], str], tmp_path: Path
) -> None:
    """By the files' numbers, or their lines' timestamps."""
    parts = [
        [START, creating(1, 1)],
        [closing(1, 2), reopening(1, 3)],
        [stopping(1, 4), closing(1, 5, reason="shutdown")],
    ]
    files = [write(tmp_path / name, part, form) for name, part in zip(names, parts, strict=True)]
    for order in (files, files[::-1], [files[1], files[2], files[0]]):
        report = audited(*order)
        assert found(report) == []
        (process,) = report.processes
        assert process.has_ended
        assert process.channels[PASS].closed == {"idle": 1, "shutdown": 1}


EXPECTATIONS: dict[str, tuple[list[Record], dict[str, int], list[str]]] = {
    "as expected": (CLEAN, {"pass": 1, "ring": 1}, []),
    "by a client's own name": (CLEAN, {"accounts": 1}, []),
    "too few": ([START, creating(1, 1)], {"pass": 1, "ring": 1}, ["app.log:1"]),
    "too many": (CLEAN, {"ring": 0}, ["app.log:1"]),
    "a service that was never called": ([START], {"pass": 1}, ["app.log:1"]),
    "a worker may need none": ([working(1, 0)], {"pass": 1, "ring": 1}, []),
    "a worker may need one of them": ([working(1, 0), creating(1, 1, RING)], {"pass": 1, "ring": 1}, []),
    "a worker may not need two": ([working(1, 0), creating(1, 1)], {"pass": 2}, ["app.log:1"]),
    "created before the log begins": ([closing(1, 0), reopening(1, 1)], {"pass": 1}, []),
    "channel lines alone": ([creating(1, 0), creating(1, 1, RING)], {"pass": 1, "ring": 1}, []),
    "channel lines alone, one absent": ([creating(1, 0)], {"pass": 1, "ring": 1}, ["app.log:1"]),
    "no process at all": ([line("File deleted", 1)], {"pass": 1}, ["(no line)"]),
}


@pytest.mark.parametrize("case", EXPECTATIONS)
def test_what_is_expected_is_compared_with_each_process(case: str, tmp_path: Path) -> None:
    records, expected, places = EXPECTATIONS[case]
    report = audited(write(tmp_path / "app.log", records), expected=expected)
    assert [place for kind, place in found(report) if kind == Kind.UNEXPECTED.name] == places


def test_since_leaves_out_what_ended_before_and_judges_the_rest_by_all_lines(tmp_path: Path) -> None:
    """A channel that was opened before and reopened after is not one whose start is unknown."""
    old = [listening(7, -90), creating(7, -89, UNKNOWN), stopping(7, -80)]
    file = write(tmp_path / "app.log", [*old, START, creating(1, 1, UNKNOWN), creating(1, 100), creating(1, 101)])
    since_us = parse(as_json(creating(1, 50)).encode())
    assert since_us is not None
    report = audited(file, since_us=since_us.at_us)
    assert found(report) == [("CREATED_TWICE", "app.log:7")]
    assert [process.group.pid for process in report.processes] == [1]


@dataclass
class Planted:
    """The lines of one process, each with the kinds of findings that it must be found for."""

    pid: int
    form: Callable[[Record], str]
    lines: list[tuple[Record, set[str]]]


FAULTS = ["early", "twice", "unknown", "connections", "never closed", "unasked"]


@st.composite
def processes(draw: st.DrawFn, pid: int) -> Planted:
    """Draw a process with faults, or with none, that has ended or not."""
    form, prefix = draw(st.sampled_from(sorted(FORMATS))), draw(st.sampled_from(sorted(PREFIXES)))
    began, faults = draw(st.integers(0, 50)), draw(st.sets(st.sampled_from(FAULTS)))
    steps = _steps(pid, began, faults, draw(st.integers(0, 2)), has_ended=draw(st.booleans()))
    moments = accumulate(draw(st.lists(st.integers(1, 9), min_size=len(steps), max_size=len(steps))), initial=began)
    next(moments)
    lines = [(record | {"timestamp": moment(at)}, {kind}) for (record, kind), at in zip(steps, moments, strict=True)]
    _expect_open(lines)
    if "twice" in faults:
        next(kinds for record, kinds in lines if record["event"] == "Listening").add("UNEXPECTED")  # one is, of each
    return Planted(pid, lambda record: PREFIXES[prefix](FORMATS[form](record)), lines)


def _steps(pid: int, began: int, faults: set[str], reopened: int, *, has_ended: bool) -> list[tuple[Record, str]]:
    early = [(creating(pid, 0, RING, is_asked=False), "NOT_LAZY")]
    first = (creating(pid, 0, is_asked=False), "NOT_LAZY") if "unasked" in faults else (creating(pid, 0), "")
    twice = [(closing(pid, 0), ""), (creating(pid, 0), "CREATED_TWICE")]
    unknown = [(creating(pid, 0, UNKNOWN), "UNKNOWN_ENDPOINT"), (closing(pid, 0, UNKNOWN), "")]
    connections = [(reopening(pid, 0) | {"max_connections": 9}, "CONNECTIONS"), (closing(pid, 0), "")]
    end = [closing(pid, 0, endpoint, "shutdown") for endpoint in (PASS, RING) if "never closed" not in faults]
    return [
        *(early if "early" in faults else []),
        (listening(pid, 0, started_s=began), ""),
        first,
        *([(closing(pid, 0), ""), (reopening(pid, 0), "")] * reopened),
        *(twice if "twice" in faults else []),
        *(unknown if "unknown" in faults else []),
        *(connections if "connections" in faults else []),
        *([(record, "") for record in (stopping(pid, 0), *end)] if has_ended else []),
    ]


def _expect_open(lines: list[tuple[Record, set[str]]]) -> None:
    """Add what must be found of channels that are open though their process has ended."""
    still_open: dict[str, list[set[str]]] = {}
    for record, kinds in lines:
        kinds.discard("")
        if "max_connections" in record:
            still_open.setdefault(record["endpoint"], []).append(kinds)
        elif "reason" in record and still_open.get(record["endpoint"]):
            still_open[record["endpoint"]].pop(0)
    if any(record["event"] == "Stopping" for record, _ in lines):
        for kinds in chain(*still_open.values()):
            kinds.add("NEVER_CLOSED")


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_what_is_planted_is_found_and_nothing_else(data: st.DataObject) -> None:
    """Processes in different formats, interleaved, amid other lines and lines that were cut, in rotated files."""
    planted = [data.draw(processes(pid)) for pid in (41001, 52002, 63003)]
    events = sorted(
        ((record["timestamp"], one.form(record), kinds) for one in planted for record, kinds in one.lines),
        key=lambda event: event[0],
    )
    texts = [(text, kinds) for _, text, kinds in events]
    unreadable = 0
    for _ in range(data.draw(st.integers(0, 4))):
        text, is_unreadable = _cut(data, planted)
        unreadable += is_unreadable
        texts.insert(data.draw(st.integers(0, len(texts))), (text, set()))
    for noise in data.draw(
        st.lists(st.sampled_from(["", "Listening to music", '{"event":"File deleted"}', "\x1b[0m", "{"]))
    ):
        texts.insert(data.draw(st.integers(0, len(texts))), (noise, set()))
    with TemporaryDirectory() as folder:
        files, expected = _written(Path(folder), texts, data)
        report = audited(*data.draw(st.permutations(files)), expected={"pass": 1})
        assert sorted(found(report)) == sorted(expected)
        assert report.unreadable == unreadable
        assert {process.group.pid for process in report.processes} == {one.pid for one in planted}


def _cut(data: st.DataObject, planted: Sequence[Planted]) -> tuple[str, bool]:
    """Draw a line that would be a finding if it were not cut, before its pid is complete; tell if it can be told."""
    one = data.draw(st.sampled_from(planted))
    text = one.form(creating(one.pid, 99, UNKNOWN, max_connections=99))
    whole = text.index(str(one.pid)) + len(str(one.pid)) - 1
    cut = text[: data.draw(st.integers(1, whole))].replace("\n", "")
    try:
        assert parse(cut.encode()) is None
    except UnreadableError:
        return cut, True
    return cut, False


def _written(
    folder: Path, texts: Sequence[tuple[str, set[str]]], data: st.DataObject
) -> tuple[list[Path], list[tuple[str, str]]]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), min_size=2, max_size=2)))
    parts = [texts[: cuts[0]], texts[cuts[0] : cuts[1]], texts[cuts[1] :]]
    files, expected = [], []
    for name, part in zip(("app.log.2", "app.log.1", "app.log"), parts, strict=True):
        files.append(folder / name)
        files[-1].write_text("".join(f"{text}\n" for text, _ in part))
        expected += [(kind, f"{name}:{number}") for number, (_, kinds) in enumerate(part, 1) for kind in kinds]
    return files, expected
