"""Decide what a download answers: conditions and ranges of RFC 9110, sections 13 and 14."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

# The three forms that a recipient must accept. Two-digit years before 1969 and after 2068 do not matter to files.
_DATE_FORMATS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_ETAG = r'(?:W/)?"[^"\x00-\x20\x7f]*"'
_LISTED_ETAG = re.compile(rf"(?:^|,)[ \t]*({_ETAG})[ \t]*(?=,|$)")
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_MOST_DIGITS = 19  # of a signed 64-bit size


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer: the status, and which bytes of the file the answer has.

    A `HEAD` is planned with the `count` that its Content-Length states, although no byte is sent.
    """

    status: HTTPStatus
    """200, 206, 304, 412 or 416."""
    offset: int
    count: int
    """How many bytes; 0 where the answer has none of the file's."""
    size_bytes: int

    @property
    def content_range(self) -> str | None:
        """The value of Content-Range, where the answer has one."""
        if self.status == HTTPStatus.PARTIAL_CONTENT:
            return f"bytes {self.offset}-{self.offset + self.count - 1}/{self.size_bytes}"
        if self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return f"bytes */{self.size_bytes}"
        return None


def plan(
    *,
    range_header: str | None,
    if_range: str | None,
    if_none_match: str | None,
    if_match: str | None,
    if_modified_since: str | None,
    if_unmodified_since: str | None,
    etag: str,
    modified_at: datetime,
    size_bytes: int,
    method: str,
) -> Plan:
    """Plan the answer to a request for a file that exists and may be read.

    Only single byte ranges are served. A request for several is answered with the whole file, as are ranges that make
    no sense and units other than bytes.

    Args:
        range_header: the request's Range; a header that is repeated is given joined by commas, one that is absent as
            None. The same goes for the five conditions.
        if_range: the request's If-Range.
        if_none_match: the request's If-None-Match.
        if_match: the request's If-Match.
        if_modified_since: the request's If-Modified-Since.
        if_unmodified_since: the request's If-Unmodified-Since.
        etag: the file's current tag as its ETag header has it, with the quotes: `"1a2b"`.
        modified_at: with a time zone; compared in whole seconds, rounded up as aiohttp's `response.last_modified` does.
        size_bytes: of the whole file.
        method: the request's, in capitals.

    Raises:
        ValueError: if `etag` has no quotes, or spaces within them: such a tag would match nothing for ever.

    """
    if re.fullmatch(_ETAG, etag) is None:
        raise ValueError(f'Give the etag as its header has it, in quotes: "1a2b", not {etag!r}')
    modified_at = _in_whole_seconds(modified_at)
    if not _may_change(if_match, if_unmodified_since, etag, modified_at):
        return Plan(HTTPStatus.PRECONDITION_FAILED, 0, 0, size_bytes)
    if not _is_news(if_none_match, if_modified_since, etag, modified_at, method):
        return Plan(_nothing_new(method), 0, 0, size_bytes)
    # Range is defined for GET alone, and a server must ignore it elsewhere (14.2): HEAD has the headers of a 200.
    if range_header is None or method != "GET" or not _may_resume(if_range, etag, modified_at):
        return _whole(size_bytes)
    return _part(range_header, size_bytes)


def _may_change(if_match: str | None, if_unmodified_since: str | None, etag: str, modified_at: datetime) -> bool:
    """Evaluate steps 1 and 2 of section 13.2.2: false means 412."""
    if if_match is not None:
        return if_match.strip() == "*" or any(_is_same_strongly(tag, etag) for tag in _tags(if_match))
    since = _parsed_date(if_unmodified_since)
    return since is None or modified_at <= since


def _is_news(
    if_none_match: str | None, if_modified_since: str | None, etag: str, modified_at: datetime, method: str
) -> bool:
    """Evaluate steps 3 and 4 of section 13.2.2: false means 304, or 412 for a method that is no reading."""
    if if_none_match is not None:
        return if_none_match.strip() != "*" and not any(_is_same_weakly(tag, etag) for tag in _tags(if_none_match))
    since = _parsed_date(if_modified_since) if _reads(method) else None
    return since is None or modified_at > since


def _may_resume(if_range: str | None, etag: str, modified_at: datetime) -> bool:
    """Evaluate step 5 of section 13.2.2: false means that Range is ignored."""
    if if_range is None:
        return True
    if '"' in if_range[:3]:
        return _is_same_strongly(if_range.strip(), etag)
    # A date may only stand for bytes that cannot have changed twice in its second; a stored file's never change.
    return _parsed_date(if_range) == modified_at


def _part(range_header: str, size_bytes: int) -> Plan:
    match _only_range(range_header):
        case None:
            return _whole(size_bytes)
        case ("", suffix):
            return _last_bytes(_number(suffix), size_bytes)
        case (first, last):
            return _bytes_from(_number(first), _number(last) if last else None, size_bytes)


def _only_range(header: str) -> tuple[str, str] | None:
    """Return the digits on both sides of the dash, or None for several ranges, another unit or nonsense."""
    unit, _, listed = header.partition("=")
    ranges = [text for item in listed.split(",") if (text := item.strip(" \t"))]
    found = _RANGE.fullmatch(ranges[0]) if len(ranges) == 1 and unit.strip().lower() == "bytes" else None
    return (found[1], found[2]) if found and any(found.groups()) else None


def _last_bytes(count: int, size_bytes: int) -> Plan:
    if count == 0:
        return _unsatisfiable(size_bytes)
    if size_bytes == 0:  # satisfiable by the letter, but Content-Range has no way to say "no bytes"
        return _whole(size_bytes)
    count = min(count, size_bytes)
    return Plan(HTTPStatus.PARTIAL_CONTENT, size_bytes - count, count, size_bytes)


def _bytes_from(first: int, last: int | None, size_bytes: int) -> Plan:
    if last is not None and last < first:  # nonsense, wherever the file ends
        return _whole(size_bytes)
    if first >= size_bytes:
        return _unsatisfiable(size_bytes)
    end = size_bytes - 1 if last is None else min(last, size_bytes - 1)
    return Plan(HTTPStatus.PARTIAL_CONTENT, first, end - first + 1, size_bytes)


def _number(digits: str) -> int:
    """Read digits of any length at no cost: a number beyond every file's size is as good as any other such number."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _whole(size_bytes: int) -> Plan:
    return Plan(HTTPStatus.OK, 0, size_bytes, size_bytes)


def _unsatisfiable(size_bytes: int) -> Plan:
    return Plan(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, 0, size_bytes)


def _nothing_new(method: str) -> HTTPStatus:
    return HTTPStatus.NOT_MODIFIED if _reads(method) else HTTPStatus.PRECONDITION_FAILED


def _reads(method: str) -> bool:
    return method in {"GET", "HEAD"}


def _tags(header: str) -> list[str]:
    """List the entity tags; what is none is left out. A comma inside of the quotes is part of the tag."""
    return _LISTED_ETAG.findall(header)


def _is_same_strongly(tag: str, etag: str) -> bool:
    return tag == etag and not tag.startswith("W/")


def _is_same_weakly(tag: str, etag: str) -> bool:
    return tag.removeprefix("W/") == etag.removeprefix("W/")


def _in_whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(seconds=1 if moment.microsecond else 0)


def _parsed_date(header: str | None) -> datetime | None:
    """Return the date, or None for what is none: such a condition is ignored, and resumes nothing."""
    if header is None:
        return None
    for form in _DATE_FORMATS:
        with suppress(ValueError):
            return datetime.strptime(header.strip(), form).replace(tzinfo=UTC)
    return None
