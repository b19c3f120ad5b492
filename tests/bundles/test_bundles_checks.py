"""What a bundle may be called, and until when it may be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive.bundles.checks import clean, is_slug
from drive.bundles.interfaces import BundleBody
from drive.errors import Code, DriveError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "a b"),
        ("slug", "a/b"),
        ("slug", "a\x00"),
        ("slug", ".."),
        ("slug", "100%"),
        ("slug", "a\n"),
        ("slug", "a" * 1025),
        ("slug", "\u6f22" * 1000),
        ("name", ""),
        ("name", " "),
        ("name", "a\x00"),
        ("name", "a" * 1025),
        ("description", "a\x00"),
        ("description", "a" * 8193),
        ("passcode", "a\x00"),
        ("passcode", "a" * 257),
        ("expired_at", "tomorrow"),
        ("expired_at", "2999-01-01T00:00:00"),
        ("expired_at", "2020-01-01T00:00:00Z"),
        ("expired_at", "9999-12-31T23:59:59-12:00"),
        ("realm_id", "garden"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_field(field: str, value: str) -> None:
    with pytest.raises(DriveError) as caught:
        clean(BundleBody(**{field: value}))
    assert caught.value.code is Code.VALIDATION_ERROR
    assert caught.value.fields.keys() == {field}


def test_what_is_empty_stays_so_and_an_empty_slug_is_none() -> None:
    assert clean(BundleBody()) == BundleBody()
    body = BundleBody(slug="", description="", passcode="", expired_at="", realm_id="")
    assert clean(body) == BundleBody(description="", passcode="", expired_at="", realm_id="")


def test_what_is_equal_is_stored_equally() -> None:
    moment = datetime.now(UTC) + timedelta(days=1)
    body = clean(BundleBody(slug="cafe\u0301", name="cafe\u0301", expired_at=moment.isoformat()))
    assert (body.slug, body.name) == ("caf\u00e9", "caf\u00e9")
    assert body.expired_at is not None
    assert datetime.fromisoformat(body.expired_at) == moment


@given(st.text(max_size=30))
def test_a_slug_that_is_taken_is_found_again(text: str) -> None:
    """Whatever is accepted is what the lookup accepts, too."""
    try:
        slug = clean(BundleBody(slug=text)).slug
    except DriveError:
        return
    assert slug is None or is_slug(slug)
