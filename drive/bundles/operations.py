"""What OpenAPI says of `/api/bundles`."""

from drive.bundles.checks import MOST_DESCRIPTION_CHARS, MOST_PASSCODE_CHARS, MOST_SLUG_CHARS
from drive.bundles.interfaces import BundleBody, FileBundle
from drive.errors import Code
from drive.files.operations import FILE_NAME
from drive.http.describe import NO_NUL, PASSCODE, VISITOR_ERRORS, Answer, Operation, Schema, page, text
from drive.http.params import MOST_TAKE

_SLUG = r"[\w.~-]+"
_BUNDLE_LINKS = {
    "getBundle": {"id": "$response.body#/id"},
    "getBundleBySlug": {"slug": "$response.body#/slug"},
    "changeBundle": {"id": "$response.body#/id"},
    "deleteBundle": {"id": "$response.body#/id"},
}
_BODY_ERRORS = (Code.FORBIDDEN, Code.NOT_FOUND, Code.CONFLICT)
_FILES = (*page(default_take=MOST_TAKE), *PASSCODE[1:])


def _clearable(format_: str) -> Schema:
    """Say that an empty text removes what was there, and null leaves it as it is."""
    return {"anyOf": [{"type": "string", "format": format_}, {"const": ""}, {"type": "null"}]}


LIMITS: dict[type, dict[str, Schema]] = {
    BundleBody: {
        "slug": {"maxLength": MOST_SLUG_CHARS, "pattern": "^([A-Za-z0-9_~-][A-Za-z0-9_.~-]*)?$"},
        "name": FILE_NAME,
        "description": {"maxLength": MOST_DESCRIPTION_CHARS, "pattern": NO_NUL},
        "passcode": {"maxLength": MOST_PASSCODE_CHARS, "pattern": NO_NUL},
        "expired_at": _clearable("date-time") | {"description": "In the future, before 9000"},
        "realm_id": _clearable("uuid"),
    }
}

OPERATIONS = {
    "GET /api/bundles/me": Operation(
        "listBundles",
        list[FileBundle],
        query=(*page(), text("term", "A part of the name", most_chars=1024)),
        has_total=True,
    ),
    "GET /api/bundles/by-slug/{slug}": Operation(
        "getBundleBySlug",
        FileBundle,
        path={"slug": {"type": "string", "maxLength": MOST_SLUG_CHARS, "pattern": f"^{_SLUG}$"}},
        query=_FILES,
        headers=PASSCODE[:1],
        errors=VISITOR_ERRORS,
        has_total=True,
    ),
    "GET /api/bundles/{id}": Operation(
        "getBundle", FileBundle, query=_FILES, headers=PASSCODE[:1], errors=VISITOR_ERRORS, has_total=True
    ),
    "POST /api/bundles": Operation(
        "createBundle",
        FileBundle,
        body=BundleBody,
        errors=_BODY_ERRORS,
        example={"name": "Rome", "passcode": "1234"},
        links=_BUNDLE_LINKS,
    ),
    "PUT /api/bundles/{id}": Operation(
        "changeBundle", FileBundle, body=BundleBody, errors=_BODY_ERRORS, example={"name": "Rome and Naples"}
    ),
    "DELETE /api/bundles/{id}": Operation("deleteBundle", answers={204: Answer("Deleted")}),
}
