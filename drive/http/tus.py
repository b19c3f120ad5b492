"""Where tus is spoken, and which version of it."""

from aiohttp import web

PATH = "/api/files/tus"
VERSION = "1.0.0"


async def send_tus_version(request: web.Request, response: web.StreamResponse) -> None:
    """Add the version to whatever a client of tus is answered, errors too: a receiver of `on_response_prepare`."""
    if request.path == PATH or request.path.startswith(f"{PATH}/"):
        response.headers["Tus-Resumable"] = VERSION
        if response.status == web.HTTPPreconditionFailed.status_code:
            response.headers["Tus-Version"] = VERSION
