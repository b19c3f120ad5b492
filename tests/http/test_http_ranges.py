"""Which answer the conditions and the range of a request lead to."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from drive.http.ranges import Plan, plan

ETAG = '"v1"'
MODIFIED: Final = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
AT = "Sun, 01 Mar 2026 12:30:15 GMT"
BEFORE = "Sun, 01 Mar 2026 12:30:14 GMT"
AFTER = "Sun, 01 Mar 2026 12:30:16 GMT"

conditions = ("range_header", "if_range", "if_none_match", "if_match", "if_modified_since", "if_unmodified_since")


def planned(**given_: Any) -> Plan:
    """Plan a GET of a file of 100 bytes with these headers and no others."""
    facts = {"etag": ETAG, "modified_at": MODIFIED, "size_bytes": 100, "method": "GET"}
    return plan(**(dict.fromkeys(conditions) | facts | given_))  # type: ignore[arg-type]


def served(result: Plan) -> tuple[int, int, int]:
    return result.status, result.offset, result.count


WHOLE = (200, 0, 100)
NOTHING = (416, 0, 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("bytes=0-0", (206, 0, 1)),
        ("bytes=0-99", (206, 0, 100)),
        ("bytes=10-19", (206, 10, 10)),
        ("bytes=90-1000", (206, 90, 10)),
        ("bytes=99-", (206, 99, 1)),
        ("bytes=0-", (206, 0, 100)),
        ("bytes=-1", (206, 99, 1)),
        ("bytes=-100", (206, 0, 100)),
        ("bytes=-101", (206, 0, 100)),
        ("bytes=-0", NOTHING),
        ("bytes=-000", NOTHING),
        ("bytes=100-", NOTHING),
        ("bytes=100-200", NOTHING),
        ("BYTES=010-0019", (206, 10, 10)),
        ("bytes= 10-19 ", (206, 10, 10)),
        ("bytes=,10-19,,", (206, 10, 10)),
    ],
)
def test_a_single_range_is_served(header: str | None, expected: tuple[int, int, int]) -> None:
    assert served(planned(range_header=header)) == expected


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,3-4",
        "bytes=0-1,junk",
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=5-4",
        "bytes=200-100",
        "bytes=a-b",
        "bytes=0x0-1",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=\u0661-\u0662",
        "bytes:0-1",
        "items=0-1",
        "0-1",
    ],
)
def test_several_ranges_other_units_and_nonsense_give_the_whole_file(header: str) -> None:
    assert served(planned(range_header=header)) == WHOLE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"bytes=0-{'9' * 8000}", (206, 0, 100)),
        (f"bytes=-{'9' * 8000}", (206, 0, 100)),
        (f"bytes={'9' * 8000}-", NOTHING),
        (f"bytes={'0' * 8000}1-2", (206, 1, 2)),
        (f"bytes=-{'0' * 8000}", NOTHING),
    ],
)
def test_numbers_may_have_any_length(header: str, expected: tuple[int, int, int]) -> None:
    """Python itself refuses to read more than 4300 digits, and takes long for fewer."""
    assert served(planned(range_header=header)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, 200), ("bytes=0-", 416), ("bytes=0-0", 416), ("bytes=-0", 416), ("bytes=-5", 200), ("bytes=0-1,2-3", 200)],
)
def test_an_empty_file_has_no_first_byte(header: str | None, expected: int) -> None:
    """Only the last five bytes of it can be given, being none, and that takes a 200."""
    assert served(planned(range_header=header, size_bytes=0)) == (expected, 0, 0)


@pytest.mark.parametrize(
    ("header", "size_bytes", "expected"),
    [
        ("bytes=10-19", 100, "bytes 10-19/100"),
        ("bytes=-1", 2**62, f"bytes {2**62 - 1}-{2**62 - 1}/{2**62}"),
        ("bytes=100-", 100, "bytes */100"),
        ("bytes=0-", 0, "bytes */0"),
        (None, 100, None),
        ("bytes=0-1,3-4", 100, None),
    ],
)
def test_content_range_stands_where_the_rfc_wants_it(header: str | None, size_bytes: int, expected: str | None) -> None:
    assert planned(range_header=header, size_bytes=size_bytes).content_range == expected


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
def test_only_get_has_ranges(method: str) -> None:
    """A HEAD is answered with the headers of the whole file, even for a range that cannot be given."""
    assert served(planned(range_header="bytes=0-1", method=method)) == WHOLE
    assert served(planned(range_header="bytes=500-", method=method)) == WHOLE


@pytest.mark.parametrize(
    ("if_range", "resumes"),
    [
        (ETAG, True),
        (f" {ETAG} ", True),
        ('"v2"', False),
        (f"W/{ETAG}", False),
        ("v1", False),
        (f'{ETAG}, "v2"', False),
        ("*", False),
        ("", False),
        (AT, True),
        ("Sunday, 01-Mar-26 12:30:15 GMT", True),
        ("Sun Mar  1 12:30:15 2026", True),
        (BEFORE, False),
        (AFTER, False),
        ("yesterday", False),
    ],
)
def test_if_range_must_match_exactly(if_range: str, resumes: bool) -> None:
    """Else the client's part is of another file, and it needs the whole."""
    assert planned(range_header="bytes=5-", if_range=if_range).status == (206 if resumes else 200)
    assert planned(range_header="bytes=500-", if_range=if_range).status == (416 if resumes else 200)
    assert planned(if_range=if_range).status == 200


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [
        (ETAG, 304),
        (f"W/{ETAG}", 304),
        ("*", 304),
        (' "a" ,\t"v1","b"', 304),
        ('"a,b", W/"v1"', 304),
        ('"v2"', 200),
        ('"v", "1"', 200),
        ("v1", 200),
        ('w/"v1"', 200),
        ('"v1', 200),
        ("", 200),
        (",,,", 200),
    ],
)
def test_if_none_match_compares_weakly(if_none_match: str, status: int) -> None:
    assert planned(if_none_match=if_none_match).status == status
    assert planned(if_none_match=if_none_match, method="HEAD").status == status
    assert planned(if_none_match=if_none_match, method="DELETE").status == (412 if status == 304 else 200)


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (ETAG, 200),
        ("*", 200),
        ('"a", "v1"', 200),
        (f"W/{ETAG}", 412),
        ('"v2"', 412),
        ("v1", 412),
        ("", 412),
    ],
)
def test_if_match_compares_strongly(if_match: str, status: int) -> None:
    assert planned(if_match=if_match).status == status


def test_a_weak_etag_of_ours_matches_weakly_only() -> None:
    weak = {"etag": 'W/"v1"'}
    assert planned(if_none_match=ETAG, **weak).status == 304
    assert planned(if_match='W/"v1"', **weak).status == 412
    assert planned(if_range='W/"v1"', range_header="bytes=0-1", **weak).status == 200


def test_a_comma_within_a_tag_does_not_end_it() -> None:
    assert planned(etag='"a,b"', if_none_match='"x", "a,b"').status == 304


@pytest.mark.parametrize(
    ("date", "modified", "unmodified"),
    [
        (AT, 304, 200),
        (AFTER, 304, 200),
        (BEFORE, 200, 412),
        ("Sunday, 01-Mar-26 12:30:15 GMT", 304, 200),
        ("Sun Mar  1 12:30:15 2026", 304, 200),
        ("Sun, 01 Mar 2026 12:30:14 +0000", 200, 200),
        ("2026-03-01T12:30:14Z", 200, 200),
        (f"{BEFORE}, {BEFORE}", 200, 200),
        ("Sun, 32 Mar 2026 12:30:14 GMT", 200, 200),
        ("", 200, 200),
    ],
)
def test_dates_are_compared_and_what_is_no_date_is_ignored(date: str, modified: int, unmodified: int) -> None:
    assert planned(if_modified_since=date).status == modified
    assert planned(if_modified_since=date, method="HEAD").status == modified
    assert planned(if_modified_since=date, method="DELETE").status == 200
    assert planned(if_unmodified_since=date).status == unmodified


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_match": '"v2"', "if_none_match": ETAG}, 412),
        ({"if_match": ETAG, "if_unmodified_since": BEFORE}, 200),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_unmodified_since": BEFORE, "if_none_match": ETAG}, 412),
        ({"if_unmodified_since": AT, "if_modified_since": AT}, 304),
        ({"if_none_match": '"v2"', "if_modified_since": AT}, 200),
        ({"if_none_match": ETAG, "if_modified_since": BEFORE}, 304),
        ({"if_none_match": ETAG, "range_header": "bytes=0-1"}, 304),
        ({"if_none_match": ETAG, "range_header": "bytes=500-"}, 304),
        ({"if_match": '"v2"', "range_header": "bytes=500-"}, 412),
        ({"if_match": ETAG, "if_range": '"v2"', "range_header": "bytes=0-1"}, 200),
        ({"if_modified_since": BEFORE, "if_range": ETAG, "range_header": "bytes=0-1"}, 206),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_the_rfc(headers: dict[str, str], status: int) -> None:
    """Section 13.2.2: a match outweighs a date, 412 comes before 304, and the range is looked at last."""
    result = planned(**headers)
    assert result.status == status
    if status in {304, 412}:
        assert served(result) == (status, 0, 0)
        assert result.content_range is None


@pytest.mark.parametrize("etag", ["v1", "", '"v1', '"a b"', '"a"b"', "W/v1", '"a\n"'])
def test_an_etag_that_no_client_could_send_back_is_a_mistake_of_ours(etag: str) -> None:
    with pytest.raises(ValueError, match="in quotes"):
        planned(etag=etag)


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2068, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_date_that_aiohttp_sends_matches_the_file(moment: datetime) -> None:
    """Whatever the fraction of the second, which a header cannot carry."""
    response = web.Response()
    response.last_modified = moment
    sent = response.headers["Last-Modified"]
    assert planned(modified_at=moment, if_modified_since=sent).status == 304
    assert planned(modified_at=moment, if_unmodified_since=sent).status == 200
    assert planned(modified_at=moment, if_range=sent, range_header="bytes=1-2").status == 206
    newer = moment + timedelta(seconds=1)
    assert planned(modified_at=newer, if_modified_since=sent).status == 200
    assert planned(modified_at=newer, if_range=sent, range_header="bytes=1-2").status == 200


sizes = st.one_of(st.integers(0, 20), st.integers(0, 2**63 - 1))
positions = st.one_of(st.integers(0, 25), st.integers(0, 2**63 - 1))


@settings(deadline=None)
@given(first=positions, last=positions, size_bytes=sizes)
def test_a_range_with_both_ends_is_what_slicing_gives(first: int, last: int, size_bytes: int) -> None:
    result = planned(range_header=f"bytes={first}-{last}", size_bytes=size_bytes)
    wanted = range(size_bytes)[first : last + 1]
    if last < first:
        assert served(result) == (200, 0, size_bytes)
    elif not wanted:
        assert served(result) == NOTHING
    else:
        assert served(result) == (206, wanted[0], wanted[-1] + 1 - wanted[0])


@settings(deadline=None)
@given(count=positions, size_bytes=st.integers(1, 2**63 - 1))
def test_a_suffix_is_what_slicing_gives(count: int, size_bytes: int) -> None:
    result = planned(range_header=f"bytes=-{count}", size_bytes=size_bytes)
    wanted = range(size_bytes)[max(0, size_bytes - count) :] if count else range(0)
    assert served(result) == ((206, wanted[0], size_bytes - wanted[0]) if wanted else NOTHING)


@settings(deadline=None)
@given(
    size_bytes=sizes,
    method=st.sampled_from(["GET", "HEAD", "DELETE"]),
    headers=st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(
                st.text(max_size=40),
                st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True),
                st.sampled_from([ETAG, 'W/"v1"', '"v2"', "*", AT, BEFORE, AFTER]),
            )
            for name in conditions
        },
    ),
)
def test_whatever_is_asked_only_bytes_of_the_file_are_promised(
    size_bytes: int, method: str, headers: dict[str, str]
) -> None:
    """No header raises, and the numbers fit together."""
    result = planned(size_bytes=size_bytes, method=method, **headers)
    assert result.status in {200, 206, 304, 412, 416}
    assert 0 <= result.offset <= result.offset + result.count <= size_bytes
    assert (result.content_range is not None) == (result.status in {206, 416})
    if result.status == 200:
        assert (result.offset, result.count) == (0, size_bytes)
    if result.status == 206:
        assert result.content_range is not None
        first, last, total = map(int, re.findall("[0-9]+", result.content_range))
        assert (first, last - first + 1, total) == (result.offset, result.count, size_bytes)
