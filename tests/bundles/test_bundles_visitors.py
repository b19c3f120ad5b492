"""What of a request is its passcode."""

import pytest
from aiohttp.test_utils import make_mocked_request

from drive.errors import Code, DriveError
from drive.http.visitors import visitor_of


@pytest.mark.parametrize(
    ("query", "header", "passcode"),
    [
        ("", None, None),
        ("?passcode=", "", None),
        ("?passcode=a+b", None, "a b"),
        ("?PassCode=a", None, "a"),
        ("?passcode=a&passcode=b", None, "b"),
        ("?passcode=a&PASSCODE=b", "caf\u00e9", "caf\u00e9"),
        ("?passcode=a", "", "a"),
    ],
)
def test_the_header_goes_before_the_query(query: str, header: str | None, passcode: str | None) -> None:
    headers = {} if header is None else {"X-Passcode": header}
    visitor = visitor_of(make_mocked_request("GET", f"/api/files/a{query}", headers))
    assert visitor.passcode == passcode
    assert "passcode" not in repr(visitor)


@pytest.mark.parametrize("header", ["a" * 257, "a\x00"])
def test_what_no_passcode_can_be_is_refused(header: str) -> None:
    with pytest.raises(DriveError) as caught:
        visitor_of(make_mocked_request("GET", "/api/files/a", {"X-Passcode": header}))
    assert caught.value.code is Code.VALIDATION_ERROR
    assert header not in caught.value.message
