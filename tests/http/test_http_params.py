"""How query parameters are read."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from yarl import URL

from drive.errors import Code, DriveError
from drive.http.params import Page, Params

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


def params(text: str) -> Params:
    """Read a query string as aiohttp does."""
    return Params(URL(f"/?{text}").query)


def problems(text: str, method: str, name: str, **options: Any) -> dict[str, str]:
    with pytest.raises(DriveError) as caught, params(text) as query:
        getattr(query, method)(name, **options)
    assert caught.value.code is Code.VALIDATION_ERROR
    return caught.value.fields


@pytest.mark.parametrize("name", ["orderDesc", "order_desc", "ORDERDESC", "orderdesc", "OrderDesc", "Order_Desc"])
def test_names_are_matched_as_the_original_does_and_in_snake_case(name: str) -> None:
    assert params(f"{name}=true").boolean("orderDesc") is True
    assert params(f"{name}=true").boolean("order_desc") is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("True", True), ("TRUE", True), ("1", True), ("false", False), ("fAlse", False), ("0", False)],
)
def test_booleans(value: str, expected: bool) -> None:
    assert params(f"download={value}").boolean("download", default=not expected) is expected


@pytest.mark.parametrize("value", ["yes", "on", "2", "t", "-1", "tru\u0435"])
def test_other_words_are_no_booleans(value: str) -> None:
    assert problems(f"download={value}", "boolean", "download") == {"download": "must be true or false."}


@pytest.mark.parametrize(("value", "expected"), [("0", 0), ("007", 7), ("10", 10), ("-5", -5)])
def test_integers(value: str, expected: int) -> None:
    assert params(f"n={value}").integer("n", default=3, least=-5, most=10) == expected


@pytest.mark.parametrize("value", ["11", "-6", "1.0", "1e1", "1_0", "+1", "%201", "0x1", "\u0661", "9" * 5000, "a"])
def test_other_integers_are_refused(value: str) -> None:
    expected = {"n": "must be a whole number from -5 to 10."}
    assert problems(f"n={value}", "integer", "n", default=3, least=-5, most=10) == expected


def test_texts() -> None:
    assert params("query=a%20b").text("query", most_chars=3) == "a b"
    assert params("").text("query", most_chars=3) is None
    assert params("").text("path", most_chars=3, default="/") == "/"


@pytest.mark.parametrize("value", ["abcd", "a%00"])
def test_texts_that_are_too_long_or_that_postgresql_cannot_hold_are_refused(value: str) -> None:
    assert list(problems(f"query={value}", "text", "query", most_chars=3)) == ["query"]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(DriveError):
        Params({"query": "\ud800"}).text("query", most_chars=3)


@pytest.mark.parametrize("text", ["", "query=", "other=1"])
def test_a_required_text_must_be_there(text: str) -> None:
    assert problems(text, "required_text", "query", most_chars=9) == {"query": "is required."}


def test_a_required_text_that_is_there() -> None:
    assert params("query=x").required_text("query", most_chars=9) == "x"


@pytest.mark.parametrize("value", [str(ID), str(ID).upper(), ID.hex])
def test_uuids(value: str) -> None:
    assert params(f"pool={value}").uuid("pool") == ID


@pytest.mark.parametrize("value", ["1", "none", f"{{{ID}}}", ID.urn, f"{ID}0", "0x" + ID.hex[2:], "1_" + ID.hex[2:]])
def test_other_spellings_are_no_uuids(value: str) -> None:
    """Python's constructor takes some of these."""
    assert problems(f"pool={value}", "uuid", "pool") == {"pool": "must be a UUID."}


@pytest.mark.parametrize(("text", "expected"), [("order=name", "name"), ("order=Name", "name"), ("", "date")])
def test_choices(text: str, expected: str) -> None:
    assert params(text).choice("order", {"date", "name", "size"}, default="date") == expected


def test_another_choice_is_refused() -> None:
    fields = problems("order=colour", "choice", "order", choices={"date", "name", "size"}, default="date")
    assert fields == {"order": "must be one of date, name, size."}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Page(0, 20)),
        ("offset=40&take=10", Page(40, 10)),
        ("offset=10000000&take=100", Page(10_000_000, 100)),
        ("limit=5", Page(0, 5)),
        ("limit=5&take=6", Page(0, 6)),
        ("offset=&take=", Page(0, 20)),
    ],
)
def test_pages(text: str, expected: Page) -> None:
    assert params(text).page() == expected


def test_a_route_may_have_another_size_of_page() -> None:
    assert params("").page(default_take=50) == Page(0, 50)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("offset=-1", ["offset"]),
        ("offset=10000001", ["offset"]),
        ("take=0", ["take"]),
        ("take=101", ["take"]),
        ("limit=101", ["limit"]),
        ("offset=x&take=y", ["offset", "take"]),
    ],
)
def test_pages_outside_of_the_limits_are_refused(text: str, wrong: list[str]) -> None:
    with pytest.raises(DriveError) as caught, params(text) as query:
        query.page()
    assert list(caught.value.fields) == wrong


def test_all_wrong_parameters_are_reported_together() -> None:
    def read() -> None:
        with params("offset=-1&orderDesc=maybe&pool=mine&take=5") as query:
            assert query.page() == Page(0, 5)
            assert query.boolean("orderDesc", default=True) is True
            assert query.uuid("pool") is None

    with pytest.raises(DriveError) as caught:
        read()
    assert caught.value.fields == {
        "offset": "must be a whole number from 0 to 10000000.",
        "orderDesc": "must be true or false.",
        "pool": "must be a UUID.",
    }
    assert all(name in caught.value.message for name in caught.value.fields)


def test_another_error_within_the_block_is_not_hidden() -> None:
    with pytest.raises(LookupError), params("offset=-1") as query:
        raise LookupError(query.page())


def test_forgetting_the_block_loses_the_collecting_but_not_the_check() -> None:
    with pytest.raises(DriveError) as caught:
        params("offset=-1&take=0").page()
    assert list(caught.value.fields) == ["offset"]


def test_the_last_of_a_repeated_parameter_counts() -> None:
    query = Params(MultiDict([("take", "1"), ("TAKE", "2"), ("take", "3")]))
    assert query.page().take == 3


def test_empty_and_unknown_parameters_are_ignored() -> None:
    query = params("download=&pool=&order=&query=&colour=blue")
    assert query.boolean("download") is False
    assert query.uuid("pool") is None
    assert query.choice("order", {"date"}, default="date") == "date"
    assert query.text("query", most_chars=1) is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["offset", "take", "flag", "pool", "order", "query"]), st.text(st.characters())))
def test_any_text_is_read_or_refused(values: dict[str, str]) -> None:
    try:
        with Params(values) as query:
            page = query.page()
            text = query.text("query", most_chars=5)
            query.boolean("flag")
            query.uuid("pool")
            query.choice("order", {"date", "name"}, default="date")
    except DriveError as error:
        assert set(error.fields) <= set(values)  # noqa: PT017 - a refusal is as good, but no other error is
    else:
        assert 0 <= page.offset <= 10_000_000
        assert 1 <= page.take <= 100
        assert text is None or text.encode()
