"""Names of files, from creating to downloading."""

import re
from urllib.parse import quote, unquote

import pytest
from support.api import Api

KEPT = {
    "quotes": 'it\'s "so"',
    "slashes": "../../etc/passwd",
    "backslashes": "C:\\temp\\x",
    "a mark of direction": "photo\u202egpj.exe",
    "more marks of direction": "\u2066a\u200fb\u2069",
    "of 1024 characters": "x" * 1020 + ".txt",
    "of 1024 characters, in 2048 bytes": "é" * 1024,
    "semicolons and commas": 'a; filename="b", c',
    "percent signs": "100%25.txt",
    "emoji": "👨\u200d👩\u200d👧.png",
    "CJK": "文件.pdf",
    "only dots": "..",
    "spaces around": " a ",
    "like an id": "pool:00000000-0000-0000-0000-000000000001",
    "SQL": "'; drop table files; --",
    "HTML": "<script>alert(1)</script>",
}
REFUSED = {
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a NUL": "a\x00b",
    "another control character": "a\x1bb",
    "a line separator": "a\u2028b",
    "1025 characters": "x" * 1025,
    "1025 characters, very many bytes": "文" * 1025,
    "1024 characters in more than 2048 bytes": "文" * 1024,
    "nothing": "",
    "nothing visible": " \u200b\u202e",
}
ONE_LINE = re.compile(r"""[a-z]+; filename="[^"\\\r\n]*"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]*)?""")


async def test_a_name_is_stored_and_listed_as_it_is_and_downloaded_safely(api: Api, subtests: pytest.Subtests) -> None:
    for what, name in KEPT.items():
        with subtests.test(what):
            file = await api.upload(what.encode(), file_name=name)
            assert file["name"] == name
            assert (await api.get(f"/api/files/{file['id']}/info")).json["name"] == name
            assert (await api.get("/api/files/me", params={"take": 1})).json[0]["name"] == name

            downloaded = await api.get(f"/api/files/{file['id']}")
            assert downloaded.body == what.encode()
            disposition = downloaded.headers["Content-Disposition"]
            assert ONE_LINE.fullmatch(disposition), disposition
            saved_as = unquote(disposition)
            assert not re.search("[\u202e\u2066\u2069\u200f]", saved_as)
            assert "/" not in saved_as.replace("filename*=UTF-8''", "")
            assert len(disposition) < 2000


async def test_a_name_that_cannot_be_is_refused_wherever_it_is_given(api: Api, subtests: pytest.Subtests) -> None:
    file = await api.upload(b"x")
    for what, name in REFUSED.items():
        with subtests.test(what):
            created = await api.create(b"y", file_name=name)
            assert (created.status, list(created.json["errors"])) == (400, ["file_name"])
            renamed = await api.request("PATCH", f"/api/files/{file['id']}/name", json=name)
            assert (renamed.status, list(renamed.json["errors"])) == (400, ["name"])
            if len(quote(name)) < 8000:  # what a request line holds
                direct = await api.post(f"/api/files/upload/direct?fileName={quote(name)}", data=b"y")
                assert (direct.status, list(direct.json["errors"])) == (400, ["file_name"])
    assert (await api.get("/api/files/me")).json == [file]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ('filename="文件.pdf"', "文件.pdf"),
        ("filename*=UTF-8''%E6%96%87.pdf", "文.pdf"),
        ('filename="a \\"b\\".txt"', 'a "b".txt'),
        ('filename="../../x"', "../../x"),
        ("filename=plain", "plain"),
    ],
)
async def test_a_form_names_its_file_as_clients_do(api: Api, sent: str, name: str) -> None:
    """Browsers and curl send UTF-8; others encode it."""
    part = f'--b\r\nContent-Disposition: form-data; name="file"; {sent}\r\n\r\nx\r\n--b--\r\n'.encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await api.post("/api/files/upload/direct", data=part, headers=headers)
    assert (answer.status, answer.json.get("name")) == (200, name), answer


@pytest.mark.parametrize("body", [b"name", b'{"name": "a"}', b"1", b"null", b"", b'"\\ud800"', b'"\xff"'])
async def test_a_new_name_must_be_a_json_string(api: Api, body: bytes) -> None:
    file = await api.upload(b"x")
    answer = await api.request("PATCH", f"/api/files/{file['id']}/name", data=body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


async def test_names_are_composed_so_that_equal_ones_are_equal(api: Api) -> None:
    file = await api.upload(b"x", file_name="e\u0301.txt")
    assert file["name"] == "\u00e9.txt"
    renamed = await api.request("PATCH", f"/api/files/{file['id']}/name", json="a\u0308")
    assert renamed.json["name"] == "\u00e4"
