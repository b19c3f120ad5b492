"""Folder paths in one spelling."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive.errors import Code, DriveError
from drive.folders.paths import normalise

segments = st.text(st.sampled_from("ab./ \u202eé文\U0001f600\x00\n\ud800") | st.characters(), max_size=20)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def normalised(path: str) -> str | DriveError:
    try:
        return normalise(path)
    except DriveError as error:
        return error


@given(st.lists(segments, max_size=300).map("/".join))
def test_a_path_is_refused_or_stored_in_its_only_spelling(path: str) -> None:
    """Whatever is sent: what comes out fits into the database, means the same, and does not change again."""
    normal = normalised(path)
    if isinstance(normal, DriveError):
        assert normal.code is Code.VALIDATION_ERROR
        assert list(normal.fields) == ["path"]
        return
    assert normal.startswith("/")
    assert normal.endswith("/")
    assert "//" not in normal
    assert {".", ".."}.isdisjoint(normal.split("/"))
    assert not CONTROL.search(normal)
    assert len(normal) <= 1024
    assert len(normal.encode()) <= 2048
    assert normalise(normal) == normal
    assert [folder for folder in path.split("/") if folder] == [folder for folder in normal.split("/") if folder]


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", "/"),
        ("/", "/"),
        ("///", "/"),
        ("a", "/a/"),
        ("a//b", "/a/b/"),
        ("/a b/c/", "/a b/c/"),
        ("...", "/.../"),
        (".hidden", "/.hidden/"),
        ("a%'\"b", "/a%'\"b/"),
        ("\u3000", "/\u3000/"),
        ("👨\u200d👩\u200d👧", "/👨\u200d👩\u200d👧/"),
        ("x" * 1022, f"/{'x' * 1022}/"),
    ],
)
def test_paths_are_spelled_with_one_slash_around_each_folder(path: str, normal: str) -> None:
    assert normalise(path) == normal


@pytest.mark.parametrize(
    "path", [".", "..", "a/../b", "/./", "a\nb", "a\x00", "\u2028", "\ud800", "x" * 1023, "é" * 1024]
)
def test_what_cannot_be_a_path_is_refused_with_the_name_of_the_field(path: str) -> None:
    with pytest.raises(DriveError) as caught:
        normalise(path, field="new_path")
    assert list(caught.value.fields) == ["new_path"]
