"""Lines in all formats, and bytes in none."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import pytest
from audit_support import (
    BEGIN,
    FORMATS,
    PASS,
    PREFIXES,
    Record,
    as_console,
    as_demo,
    as_json,
    as_logfmt,
    as_smoke,
    closing,
    creating,
    line,
    listening,
    reopening,
    stopping,
    working,
)
from hypothesis import example, given
from hypothesis import strategies as st

from drive.audit.events import Event, UnreadableError, What, parse

RECORDS = {
    What.CREATING: creating(4210, 1.5),
    What.REOPENING: reopening(4210, 1.5),
    What.CLOSING: closing(4210, 1.5, reason="event loop ended"),
    What.LISTENING: listening(4210, 1.5, started_s=1.0),
    What.WORKING: working(4210, 1.5, started_s=1.0),
    What.STOPPING: stopping(4210, 1.5),
}


def microseconds(at: datetime, after_us: int = 0) -> int:
    return round(at.timestamp() * 1_000_000) + after_us


def expected(what: What, label: str) -> Event:
    opens = what in {What.CREATING, What.REOPENING}
    return Event(
        what,
        4210,
        label,
        microseconds(BEGIN, 1_500_000),
        microseconds(BEGIN, 1_000_000) if what in {What.LISTENING, What.WORKING} else None,
        PASS if opens or what is What.CLOSING else "",
        "AuthService" if opens else "",
        2 if opens else 0,
        "event loop ended" if what is What.CLOSING else "",
        is_asked=opens,
    )


LABELS = {
    "docker compose": "serve-1",
    "coloured docker compose": "serve-1",
    "kubectl --prefix": "pod/drive-7d9/serve",
    "syslog": "host-1 drive[77]",
    "fluentd": "/serve-1",
}


@pytest.mark.parametrize("what", RECORDS)
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("form", FORMATS)
def test_each_event_is_read_in_each_format_behind_each_prefix(what: What, prefix: str, form: str) -> None:
    """The line's own timestamp wins over the collector's."""
    text = PREFIXES[prefix](FORMATS[form](RECORDS[what]))
    assert parse(text.encode()) == expected(what, LABELS.get(prefix, ""))


@pytest.mark.parametrize("prefix", ["docker json-file", "Kubernetes", "kubectl --timestamps"])
def test_a_line_without_a_timestamp_has_that_of_its_prefix(prefix: str) -> None:
    event = parse(PREFIXES[prefix](as_json(creating(1, None))).encode())
    assert event is not None
    assert event.at_us == microseconds(BEGIN)


@pytest.mark.parametrize("form", [as_demo, as_smoke])
@pytest.mark.parametrize("record", [creating(4210, 0), closing(4210, 0), listening(4210, 0), stopping(4210, 0)])
def test_what_the_demo_shows_is_read(form: Callable[[Record], str], record: dict[str, object]) -> None:
    event = parse(form(record).encode())
    assert event is not None
    assert (event.pid, event.endpoint) == (4210, record.get("endpoint", ""))


OTHERS = [
    '{"event":"File deleted","caller":"Creating gRPC channel"}',
    '{"event":"Listening","protocol":"gRPC","url":"http://127.0.0.1:5001","pid":1}',
    '{"event":"Listening","port":80,"pid":7}',
    '{"message":"Listening","pid":7}',
    "Listening on 127.0.0.1:80",
    "nginx: Working pid=3",
    "2026-11-24 INFO Working directory pid=3",
    "Stopping",
    "",
    "{",
]


@pytest.mark.parametrize("text", OTHERS)
def test_lines_of_others_are_left_alone(text: str) -> None:
    assert parse(text.encode()) is None


WRONG = [
    creating(1, 0) | {"pid": "one"},
    creating(1, 0) | {"pid": -1},
    creating(1, 0) | {"pid": True},
    creating(1, 0) | {"pid": 10**30},
    creating(1, 0) | {"endpoint": 7},
    creating(1, 0) | {"service": ""},
    creating(1, 0) | {"max_connections": None},
    closing(1, 0) | {"reason": "shut"},
    line("Stopping", 1) | {"pid": None},
]


@pytest.mark.parametrize("record", WRONG)
def test_an_event_with_a_wrong_field_is_unreadable(record: dict[str, object]) -> None:
    with pytest.raises(UnreadableError):
        parse(as_json(record).encode())


@pytest.mark.parametrize("record", RECORDS.values())
@given(data=st.data())
def test_json_that_was_cut_is_no_event(record: dict[str, object], data: st.DataObject) -> None:
    """It is unreadable where enough is left to tell what it was."""
    text = as_json(record)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        assert parse(cut.encode()) is None
    except UnreadableError:
        assert f'"event":"{record["event"]}"' in cut
    else:
        assert f'"event":"{record["event"]}"' not in cut


@pytest.mark.parametrize("form", [as_console, as_logfmt, as_smoke])
@given(data=st.data())
def test_readable_lines_that_were_cut_before_their_pid_are_no_event(
    form: Callable[[Record], str], data: st.DataObject
) -> None:
    text = form(creating(4210, 1.5))
    cut = text[: data.draw(st.integers(0, text.index("pid=") + 4))]
    try:
        assert parse(cut.encode()) is None
    except UnreadableError:
        assert "Creating gRPC channel" in cut


@given(st.binary(max_size=300))
@example(b'{"log":"{\\"log\\":\\"{\\\\\\"event\\\\\\":\\\\\\"Stopping\\\\\\"}\\"}"}')
@example(b"[" * 100_000 + b'"event":"Stopping"')
@example(b'{"event":"Stopping","pid":' + b"[" * 100_000)
@example(b'{"event":"Stopping","pid":1,"timestamp":1e308}')
@example(b'{"event":"Stopping","pid":1,"timestamp":"0001-01-01T00:00:00+23:59"}')
@example(b"\xff\xfe{\x00")
def test_any_bytes_are_an_event_or_none_or_unreadable(noise: bytes) -> None:
    for text in (noise, b'{"event":"Creating gRPC channel",' + noise, b"Creating gRPC channel " + noise):
        with suppress(UnreadableError):
            parse(text)


@pytest.mark.parametrize(
    "unit", [b"a", b"a=", b'a="', b"a='b", b"\\", b"event\\\\", b"\x1b[", b" ", b"{", b"|", b"[a/", b"1."]
)
@pytest.mark.timeout(20)
def test_no_line_takes_longer_than_its_length(unit: bytes) -> None:
    """A mebibyte of anything is read at once: no expression goes back and forth in it."""
    for start in (b"", b"Creating gRPC channel ", b"Creating gRPC channel a=1 ", b'{"event":"Stopping"', b"event="):
        with suppress(UnreadableError):
            parse(start + unit * (1024 * 1024 // len(unit)))
