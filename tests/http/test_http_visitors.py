"""What visitors send."""

import pytest
from aiohttp.test_utils import make_mocked_request

from drive.errors import Code, DriveError
from drive.http.visitors import visitor_of


@pytest.mark.parametrize(
    ("target", "header", "passcode"),
    [
        ("/", None, None),
        ("/", "", None),
        ("/?passcode=query", None, "query"),
        ("/?passcode=query", "", "query"),
        ("/?passcode=query", "header", "header"),
        ("/?PassCode=query", None, "query"),
    ],
)
def test_the_header_counts_before_the_query(target: str, header: str | None, passcode: str | None) -> None:
    headers = {} if header is None else {"X-Passcode": header}
    assert visitor_of(make_mocked_request("GET", target, headers=headers)).passcode == passcode


@pytest.mark.parametrize("query", ["%00", "x" * 257])
@pytest.mark.parametrize("header", ["", "right"])
def test_what_no_passcode_can_look_like_is_refused_even_beside_one_that_counts(query: str, header: str) -> None:
    request = make_mocked_request("GET", f"/?passcode={query}", headers={"X-Passcode": header})
    with pytest.raises(DriveError) as refused:
        visitor_of(request)
    assert (refused.value.code, list(refused.value.fields)) == (Code.VALIDATION_ERROR, ["passcode"])
