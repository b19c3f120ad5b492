"""Whose certificates the server shows and accepts."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The files behind `https://`; none of them for plain text. With authorities, each caller must show a certificate.

    They are read when the server starts: replace them and start it again, before they expire.
    """

    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the files, without gRPC, which would only fail at the first caller."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password="")  # or it would ask
            except (OSError, ValueError) as error:
                yield f"The gRPC server cannot use {self.cert_file} with {self.key_file}: {_reason(error)}"
        if self.client_ca_file is not None:
            try:
                context.load_verify_locations(self.client_ca_file)
            except (OSError, ValueError) as error:
                yield f"The gRPC server cannot use {self.client_ca_file}: {_reason(error)}"

    def credentials(self) -> "grpc.ServerCredentials | None":
        """Return what gRPC needs, None for plain text.

        Raises:
            OSError: a file cannot be read.

        """
        if self.cert_file is None or self.key_file is None:
            return None
        import grpc

        pair = self.key_file.read_bytes(), self.cert_file.read_bytes()
        authorities = self.client_ca_file.read_bytes() if self.client_ca_file else None
        return grpc.ssl_server_credentials(
            [pair], root_certificates=authorities, require_client_auth=authorities is not None
        )


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        wrong = (error.reason or "not PEM").replace("_", " ").lower()
        return f"{wrong}. Give it PEM files that belong together, and a key without a password."
    return f"{error.strerror if isinstance(error, OSError) else error}. Put the file there, or correct the setting."
