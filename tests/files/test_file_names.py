"""Which names clients may give to files."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drive.errors import Code, DriveError
from drive.files.names import MOST_BYTES, MOST_CHARACTERS, clean_file_name
from drive.http.disposition import content_disposition


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        " spaces around ",
        "a/b\\c",
        "../up",
        "quotes \" and '",
        "שלום\u200f.txt",
        "photo\u202egpj.exe",
        "👩\u200d👧.png",
        "x" * MOST_CHARACTERS,
        "👍" * (MOST_BYTES // 4),
        ".",
    ],
)
def test_a_name_is_kept_as_given(name: str) -> None:
    """Separators and reading marks are data here; the header of a download does without them."""
    assert clean_file_name(name) == name


def test_a_name_is_composed() -> None:
    """Some systems send decomposed letters, which look the same and would be another name."""
    assert clean_file_name("e\u0301.txt") == "\u00e9.txt"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("\u00a0\u3000", "empty"),
        ("\u200b\u202e", "empty"),
        ("x" * (MOST_CHARACTERS + 1), "1024"),
        ("👍" * (MOST_BYTES // 4 + 1), "2048"),
        ("\u0958" * 600, "1024"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\rb", "control"),
        ("a\tb", "control"),
        ("a\x1bb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("lone\ud800", "control"),
        ("\udfff lone", "control"),
    ],
)
def test_a_name_that_nothing_can_store_or_show_is_refused(name: str, problem: str) -> None:
    with pytest.raises(DriveError) as caught:
        clean_file_name(name)
    assert caught.value.code is Code.VALIDATION_ERROR
    assert problem in caught.value.fields["file_name"]


def test_the_field_of_the_error_can_be_named() -> None:
    with pytest.raises(DriveError) as caught:
        clean_file_name("", field="name")
    assert list(caught.value.fields) == ["name"]


@settings(deadline=None)
@given(st.text(st.characters(), max_size=1100))
@example("\u0344" * 1000)
def test_an_accepted_name_can_be_stored_found_again_and_sent(name: str) -> None:
    try:
        stored = clean_file_name(name)
    except DriveError as error:
        assert error.code is Code.VALIDATION_ERROR  # noqa: PT017 - a refusal is as good, but no other error is
        return
    assert clean_file_name(stored) == stored == unicodedata.normalize("NFC", name)
    assert 0 < len(stored) <= MOST_CHARACTERS
    assert len(stored.encode()) <= MOST_BYTES
    assert stored.encode().decode() == stored
    assert "\x00" not in stored
    assert content_disposition("attachment", stored).isprintable()
