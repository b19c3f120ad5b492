"""Where clients read what is in a bucket."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from drive.storage.bucket import Bucket

_EXPIRES_S = 3600


@dataclass(frozen=True, slots=True)
class Redirects:
    """How a pool's bucket is reached from outside, in the order in which it is tried.

    What not everybody may read is always signed, whatever a pool prefers: the other URLs would last for ever.
    """

    image_proxy: str | None = None
    """Serves images: its URL, to which the object's name is added."""
    access_proxy: str | None = None
    """Serves everything, in the same way."""
    enable_signed: bool = False
    """Signs URLs, which end after an hour; else the bucket itself has to let everybody read."""
    access_endpoint: str | None = None
    """Stands for `endpoint/bucket` in signed URLs, with a scheme or without."""

    def url(self, bucket: "Bucket", name: str, *, mime_type: str, disposition: str, is_public: bool) -> str:
        """Return where a client can read an object; a proxy or an open bucket send it as what it was stored as."""
        if is_public:
            if self.image_proxy and mime_type.startswith("image/"):
                return _joined(self.image_proxy, name)
            if self.access_proxy:
                return _joined(self.access_proxy, name)
            if not self.enable_signed:
                return _joined(bucket.url, name)
        answer_headers = {"response-content-type": mime_type, "response-content-disposition": disposition}
        signed = bucket.signed_url(name, answer_headers, expires_s=_EXPIRES_S)
        if not self.access_endpoint:
            return signed
        scheme = bucket.url.partition("://")[0]
        outside = self.access_endpoint if "://" in self.access_endpoint else f"{scheme}://{self.access_endpoint}"
        return outside.rstrip("/") + signed.removeprefix(bucket.url)


def _joined(base: str, name: str) -> str:
    return f"{base.rstrip('/')}/{quote(name)}"
