"""Headers of tus, whatever is in them."""

import hashlib
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drive.errors import Code, DriveError
from drive.uploads.tus_headers import byte_count, checksum, metadata

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1)


def encoded(pairs: dict[str, str]) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())


@given(st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]))))
def test_metadata_comes_back(pairs: dict[str, str]) -> None:
    assert metadata(encoded(pairs)) == pairs


@given(st.text())
@example("key YQ")
@example("key Y Q = =")
@example("key YQ==\n")
@example("key -_==")
@example("key \udc80")
def test_any_metadata_is_read_or_refused(text: str) -> None:
    with suppress(DriveError):
        for key, value in metadata(text).items():
            key.encode("ascii")
            value.encode()


@pytest.mark.parametrize(
    "text", ["name Y", "name #", ",name YQ==", "name YQ==,", "n YQ==,n YQ==", "ключ YQ==", "n /w=="]
)
def test_metadata_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(DriveError, match=r"^Upload-Metadata: must"):
        metadata(text)


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_no_metadata_is_none(text: str) -> None:
    assert metadata(text) == {}


def test_a_value_may_be_left_out() -> None:
    assert metadata("is_confidential, name YQ==") == {"is_confidential": "", "name": "a"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
@given(data=st.binary(), other=st.binary())
def test_a_checksum_tells_bytes_apart(algorithm: str, data: bytes, other: bytes) -> None:
    wanted = checksum(f"{algorithm} {b64encode(hashlib.new(algorithm, data).digest()).decode()}")
    hasher = wanted.begun()
    hasher.update(other)
    if data == other:
        wanted.check(hasher)
        return
    with pytest.raises(DriveError) as raised:
        wanted.check(hasher)
    assert raised.value.code is Code.CHECKSUM_MISMATCH


@given(st.text())
@example("SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
@example("sha1")
@example("sha1  2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
@example("sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk")
@example("")
def test_other_checksums_are_refused(text: str) -> None:
    with pytest.raises(DriveError, match=r"^Upload-Checksum: must"):
        checksum(text)


@given(st.integers(0, 10**18 - 1))
def test_numbers_of_bytes_are_read(number: int) -> None:
    assert byte_count("Upload-Offset", str(number)) == number


@given(st.text().filter(lambda text: not (text.isascii() and text.isdigit())) | st.just("1" * 5000))
@example("\u0661")
@example("1\n")
def test_what_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(DriveError, match=r"^Upload-Length: "):
        byte_count("Upload-Length", text)
