"""Under which name a file is saved, and what is shown in a browser."""

import re
from typing import Literal, get_args
from urllib.parse import unquote

import pytest
from aiohttp import content_disposition_filename, parse_content_disposition
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drive.http.disposition import content_disposition
from drive.mime import is_inline_safe

Kind = Literal["inline", "attachment"]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HEADER = re.compile(
    r"""(?:inline|attachment); filename="(?P<plain>[\x20-\x7e]+)"(?:; filename\*=UTF-8''(?P<full>[^ ;"]+))?"""
)


def names(header: str) -> tuple[str, str]:
    """Return the name in ASCII and the one that a modern client takes."""
    found = HEADER.fullmatch(header)
    assert found, header
    return found["plain"], unquote(found["full"], errors="strict") if found["full"] else found["plain"]


@pytest.mark.parametrize(
    ("given_name", "plain", "full"),
    [
        ("report.pdf", "report.pdf", "report.pdf"),
        ("my report (1); final.pdf", "my report (1); final.pdf", "my report (1); final.pdf"),
        ("Übersicht é.pdf", "Ubersicht e.pdf", "Übersicht é.pdf"),
        ("отчёт.txt", "_____.txt", "отчёт.txt"),
        ("写真.jpg", "__.jpg", "写真.jpg"),
        ("👩\u200d👧.png", "___.png", "👩\u200d👧.png"),
        ('say "hi".txt', "say _hi_.txt", 'say "hi".txt'),
        ("100%41.txt", "100_41.txt", "100%41.txt"),
        ("a\\b/c.txt", "a_b_c.txt", "a_b_c.txt"),
        ("../../etc/passwd", ".._.._etc_passwd", ".._.._etc_passwd"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie: x=1", "a__Set-Cookie: x=1"),
        ("a\x00\x1b\x7f\x85b", "a____b", "a____b"),
        ("a\u2028b\u2029c", "a_b_c", "a_b_c"),
        ("photo\u202egpj.exe", "photogpj.exe", "photogpj.exe"),
        ("a\uff0fb\uff02c\uff05d", "a_b_c_d", "a\uff0fb\uff02c\uff05d"),
        ("lone\ud800.txt", "lone_.txt", "lone_.txt"),
        ("\u0301", "file", "\u0301"),
        ("", "file", "file"),
        ("   ", "file", "file"),
        ("..", "file", "file"),
        (BIDI, "file", "file"),
        ("\u202e.\u202e.", "file", "file"),
    ],
)
def test_a_name_becomes_safe_and_stays_readable(given_name: str, plain: str, full: str) -> None:
    assert names(content_disposition("attachment", given_name)) == (plain, full)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_plain_name_is_sent_once(kind: Kind) -> None:
    assert content_disposition(kind, "a b.txt") == f'{kind}; filename="a b.txt"'


def test_another_name_is_sent_in_both_forms() -> None:
    expected = "inline; filename=\"eur_.txt\"; filename*=UTF-8''eur%E2%82%AC.txt"
    assert content_disposition("inline", "eur€.txt") == expected


def test_an_independent_reader_finds_the_name() -> None:
    """Here aiohttp's client."""
    kind, parameters = parse_content_disposition(content_disposition("attachment", "naïve 'plan' 50%; v2.txt"))
    assert (kind, content_disposition_filename(parameters)) == ("attachment", "naïve 'plan' 50%; v2.txt")


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
        ("x" * 300, "x" * 255),
        ("€" * 300 + ".txt", "€" * 83 + ".txt"),
        ("a." + "x" * 300, "a." + "x" * 253),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_a_long_name_is_cut_before_its_extension(given_name: str, expected: str) -> None:
    """No file system takes more than 255 bytes, and proxies refuse headers of several KiB."""
    assert names(content_disposition("attachment", given_name))[1] == expected


@settings(deadline=None)
@given(st.text(st.characters(), max_size=1024))
@example("\ufdfa" * 100)
@example("\ud800")
def test_whatever_the_name_the_header_is_one_harmless_line(name: str) -> None:
    header = content_disposition("attachment", name)
    plain, full = names(header)
    assert len(header) < 3000
    assert not set('"\\/%') & set(plain)
    assert 0 < len(full.encode()) <= 255
    assert full.strip(". ")
    assert not set(full) & set(BIDI + "/\\\x7f\x85\u2028\u2029")
    assert all(ord(char) >= 0x20 for char in full)


@pytest.mark.parametrize(
    "mime_type",
    [
        *(f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "avif", "bmp", "heic", "heif", "apng")),
        "IMAGE/PNG",
        "audio/mpeg",
        "audio/x-flac",
        "video/mp4",
        'video/webm; codecs="vp9, opus"',
        "audio/webm;codecs=opus",
        "text/plain",
        "text/plain; charset=utf-8",
        " text/plain ",
    ],
)
def test_what_can_run_no_script_is_shown(mime_type: str) -> None:
    assert is_inline_safe(mime_type)


@pytest.mark.parametrize(
    "mime_type",
    [
        "",
        "text/html",
        "text/html; charset=utf-8",
        "image/svg+xml",
        "image/svg",
        "image/tiff",
        "text/xml",
        "application/xml",
        "application/xhtml+xml",
        "application/pdf",
        "application/javascript",
        "text/javascript",
        "text/css",
        "text/markdown",
        "application/octet-stream",
        "multipart/x-mixed-replace",
        "audio",
        "audio/",
        "video/x+xml",
        "AUDIO/X+XML",
        "text/plain, text/html",
        "video/mp4,text/html",
        "text/plain;,text/html",
        "text/plain;charset=utf-8,text/html",
        "text/plain\r\nX: y",
        "text/plain\n",
        "video/mp4/text/html",
        "video/ mp4",
        "*/*",
        "image/*",
    ],
)
def test_everything_else_is_a_download(mime_type: str) -> None:
    """Browsers take any +xml for a document, and the last one of a list that has commas."""
    assert not is_inline_safe(mime_type)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_makes_it_fail(mime_type: str) -> None:
    assert is_inline_safe(mime_type) in {True, False}
