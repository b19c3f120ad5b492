"""Everything that can be configured: `DRIVE_*` variables, or the same names in lower case in a TOML file."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from drive.errors import Code, DriveError
from drive.lazy.endpoint import Endpoint, EndpointError

_MIB = 1024 * 1024
_DAY_S = 24 * 3600
_TOKEN_LEAST_CHARS = 32
_SERVER_CERTIFICATE = (
    "Write DRIVE_GRPC_SERVER_CERT_FILE=/path/to/cert.pem and DRIVE_GRPC_SERVER_KEY_FILE=/path/to/key.pem"
)
_AUTHENTICATION = (
    "Write DRIVE_GRPC_CLIENT_CA_FILE=/path/to/ca.pem, so that callers need a certificate, or DRIVE_GRPC_TOKENS=…, so "
    "that they need a token; or DRIVE_GRPC_LISTEN=127.0.0.1:5001, for this machine alone"
)
PREFIX = "DRIVE_"
FILE_VARIABLE = "DRIVE_SETTINGS_FILE"

PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {
    "original": {
        "open_at_start": True,
        "database_max_connections": 20,
        "database_idle_timeout_s": 60.0,
        "cache_ttl_s": 1800,
        "grpc_channel_per_client": True,
        "grpc_max_connections": 0,
        "grpc_idle_timeout_s": 0.0,
        "http_client_connections_per_host": 0,
    }
}
"""What `DRIVE_PROFILE` changes: the defaults of these settings. What is set explicitly stays as it is set."""


class SettingsError(DriveError):
    """All problems of the settings at once, each with the line to write."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            Code.VALIDATION_ERROR, "The settings are not usable:\n" + "\n".join(f"  {p}" for p in problems)
        )
        self.problems = problems


def _setting(default: Any, doc: str, *, original: str = "", secret: bool = False, least: float | None = None) -> Any:
    """Declare a setting.

    Args:
        default: its value where nothing is set.
        doc: one sentence for docs/settings.md.
        original: what the original service had in its place, where it had anything.
        secret: whether it can carry a password, so that it stays out of `repr`.
        least: the smallest number allowed.

    """
    return field(default=default, repr=not secret, metadata={"doc": doc, "original": original, "least": least})


class _Signature:
    """What `Settings` takes, for whoever looks at that (`validate`)."""

    def __get__(self, _settings: object, cls: type) -> Signature:
        known = [Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default) for one in fields(cls)]
        return Signature(known)


@dataclass(init=False, repr=False, eq=False)  # what it would generate for so many fields takes 0.8 MiB
class Settings:
    """One field per setting; none changes. Sizes are bytes (`_bytes`) or MiB (`_mib`), times seconds (`_s`)."""

    __signature__ = _Signature()

    profile: str = _setting(
        "", "Which defaults the settings have: empty for these, original for those of the original service."
    )
    open_at_start: bool = _setting(
        default=False,
        doc="Whether all clients, the database, Redis and the HTTP session are opened before the first request.",
        original="true",
    )
    http_listen: str = _setting("127.0.0.1:6000", "Host and port that HTTP is served on.", original="0.0.0.0:6000")
    metrics_listen: str = _setting(
        "", "Host and port that /metrics is served on, to Prometheus; empty for none.", original="none"
    )
    otel_url: str = _setting(
        "", "URL that traces of requests are posted to, as OTLP over HTTP; empty for no tracing.", original="none"
    )
    storage_path: Path = _setting(
        Path("var/storage"), "Folder of the local pools' objects and of uploads under way; shared by all replicas."
    )

    database_url: str = _setting(
        "postgresql://drive@127.0.0.1/drive", "PostgreSQL: postgresql://user:password@host:port/database.", secret=True
    )
    database_max_connections: int = _setting(
        5, "Most connections that a process holds.", original="20, later 5", least=1
    )
    database_idle_timeout_s: float = _setting(
        30.0, "An unused connection is closed after this.", original="60, later 30", least=1
    )
    database_connect_timeout_s: float = _setting(
        5.0, "How long connecting, or waiting for a free connection, may take.", least=0.1
    )
    database_query_timeout_s: float = _setting(30.0, "How long one query may take.", original="30", least=0.1)

    nats_url: str = _setting(
        "",
        "NATS with JetStream: nats:// or tls://user:password@host:port, several with commas; empty for no events.",
        original="always",
        secret=True,
    )

    redis_url: str = _setting(
        "redis://127.0.0.1:6379/0", "Redis or Valkey: redis://, rediss:// or unix://; empty for none.", secret=True
    )
    redis_max_connections: int = _setting(
        10, "Most connections that a process holds; further calls wait.", original="1, multiplexed", least=1
    )
    redis_connect_timeout_s: float = _setting(5.0, "How long connecting may take.", original="5", least=0.1)
    redis_operation_timeout_s: float = _setting(3.0, "How long one command may take.", original="3", least=0.1)
    redis_retries: int = _setting(
        3, "How often a command is tried again after a lost connection.", original="3", least=0
    )
    cache_ttl_s: int = _setting(
        300, "How long a cached value lives.", original="900 to 1800, later 300 to 600", least=1
    )

    pass_endpoint: str = _setting("http://127.0.0.1:5001", "gRPC endpoint of pass.", original="https://pass:5001")
    ring_endpoint: str = _setting(
        "http://127.0.0.1:5002",
        "gRPC endpoint of ring; also that of `ring`'s one client.",
        original="https://ring:5001",
    )
    auth_endpoint: str = _setting("", "Where AuthService is, if not at pass.")
    permissions_endpoint: str = _setting("", "Where PermissionService is, if not at pass.")
    accounts_endpoint: str = _setting("", "Where AccountService is, if not at pass.")
    action_logs_endpoint: str = _setting("", "Where ActionLogService is, if not at pass.")
    payments_endpoint: str = _setting("", "Where PaymentService is, if not at pass.")
    wallets_endpoint: str = _setting("", "Where WalletService is, if not at pass.")
    realms_endpoint: str = _setting("", "Where RealmService is, if not at pass.")
    social_credits_endpoint: str = _setting("", "Where SocialCreditService is, if not at pass.")
    experiences_endpoint: str = _setting("", "Where ExperienceService is, if not at pass.")
    grpc_channel_per_client: bool = _setting(
        default=False,
        doc="Whether each client has a channel and connections of its own; else those of an endpoint share them.",
        original="true",
    )
    grpc_max_connections: int = _setting(
        2, "Most TCP connections per channel; 0 for no limit.", original="1000+ claimed, later 2 per client", least=0
    )
    grpc_idle_timeout_s: float = _setting(
        300.0, "A channel without calls is closed after this; 0 for never.", original="never", least=0
    )
    grpc_deadline_s: float = _setting(
        5.0, "Deadline of a call.", original="30 in total, 10 per attempt, 3 retries", least=0.1
    )
    grpc_ca_file: Path | None = _setting(
        None, "Authorities that verify https:// endpoints; gRPC's own where unset.", original="verification off"
    )
    grpc_cert_file: Path | None = _setting(None, "Client certificate for https:// endpoints.", original="none")
    grpc_key_file: Path | None = _setting(None, "Key of the client certificate.", original="none")

    grpc_listen: str = _setting(
        "", "Host and port that gRPC is served on; empty for no gRPC.", original="0.0.0.0:5001, anybody"
    )
    grpc_server_cert_file: Path | None = _setting(
        None, "Certificate of the gRPC server, with those between it and its authority.", original="made at each start"
    )
    grpc_server_key_file: Path | None = _setting(
        None, "Key of the gRPC server's certificate.", original="made at each start"
    )
    grpc_client_ca_file: Path | None = _setting(
        None, "Authorities whose certificates callers of the gRPC server must show.", original="none"
    )
    grpc_tokens: str = _setting(
        "",
        "Tokens, one of which callers of the gRPC server must send; at least 32 characters each, commas between.",
        original="none",
        secret=True,
    )
    grpc_reflection: bool = _setting(
        default=False, doc="Whether the gRPC server describes its services to callers.", original="true"
    )

    http_client_connections_per_host: int = _setting(
        5, "Most connections of outgoing HTTP per host; 0 for no limit.", original="100+, later 5", least=0
    )
    http_client_timeout_s: float = _setting(
        30.0, "How long an outgoing HTTP request may take.", original="30", least=0.1
    )

    auth_cache_ttl_s: float = _setting(
        30.0, "How long an authenticated token is not asked about again.", original="0", least=0
    )
    auth_cache_entries: int = _setting(10_000, "Most tokens remembered per process.", original="0", least=1)

    default_pool_id: UUID = _setting(UUID(int=1), "Pool of uploads that name none.", original="Storage:PreferredRemote")
    upload_direct_max_bytes: int = _setting(20 * _MIB, "Largest direct upload.", original="20 MiB", least=1)
    upload_max_bytes: int = _setting(1024 * 1024 * _MIB, "Largest file.", original="none", least=1)
    upload_chunk_bytes: int = _setting(
        5 * _MIB, "Chunk size where the client asks for none.", original="5 MiB", least=1
    )
    upload_chunk_max_bytes: int = _setting(
        64 * _MIB, "Largest chunk; a client that asks for more is given this.", original="6 MiB a request", least=1
    )
    upload_chunks_max: int = _setting(
        10_000, "Most chunks of an upload; smaller chunks are made larger to fit.", original="none", least=1
    )
    upload_lifetime_s: int = _setting(
        24 * 3600, "An upload without activity expires after this.", original="24 h, never cleaned", least=1
    )
    progress_min_bytes: int = _setting(
        5 * _MIB, "Uploads from this size on push progress through ring.", original="all", least=0
    )
    progress_interval_s: float = _setting(
        1.0, "At most one progress packet per upload in this time.", original="0", least=0
    )

    quota_base_mib: int = _setting(1024, "Quota of an account without a subscription.", original="1024", least=0)
    quota_tier1_mib: int = _setting(5 * 1024, "Quota of solian.stellar.primary.", original="5120", least=0)
    quota_tier2_mib: int = _setting(10 * 1024, "Quota of solian.stellar.nova.", original="10240", least=0)
    quota_tier3_mib: int = _setting(15 * 1024, "Quota of solian.stellar.supernova.", original="15360", least=0)
    quota_price_per_gib: str = _setting(
        "", "What a GiB of extra quota costs, a decimal number; empty where none is sold.", original="not sold"
    )
    quota_currency: str = _setting("points", "What it is paid in: a currency of the wallets in pass.")
    quota_order_lifetime_s: int = _setting(24 * 3600, "An order that is not paid expires after this.", least=60)

    worker_poll_interval_s: float = _setting(1.0, "How often an idle worker looks for jobs.", least=0.05)
    worker_sweep_interval_s: float = _setting(
        60.0,
        "How often expired uploads are swept from staging, and expired files deleted.",
        original="daily, incomplete",
        least=1,
    )
    worker_concurrency: int = _setting(2, "Most jobs at a time in a process, media aside.", original="1", least=1)
    worker_media_concurrency: int = _setting(
        1, "Most images and videos processed at a time in a process; 0 leaves them to others.", original="1", least=0
    )
    worker_lease_s: float = _setting(
        60.0, "A killed worker's jobs are taken by others after this.", original="30, not renewed", least=1
    )

    recycle_after_s: int = _setting(
        30 * _DAY_S,
        "Files that nobody uses are recycled at this age, where their pool wants it.",
        original="30 d",
        least=0,
    )
    purge_deleted_after_s: int = _setting(
        7 * _DAY_S, "Rows of what was deleted are removed after this.", original="7 d, never done", least=0
    )
    purge_ended_after_s: int = _setting(
        30 * _DAY_S,
        "Uploads that have ended, and failed jobs, are forgotten after this.",
        original="30 d, never done",
        least=0,
    )
    orphan_after_s: int = _setting(
        _DAY_S, "Stored objects that belong to no file are deleted at this age.", original="never", least=3600
    )

    media_max_pixels: int = _setting(
        64 * _MIB, "Larger images, and videos with larger frames, get no variants.", original="none", least=1
    )
    media_memory_mib: int = _setting(
        1024, "Memory that reading one image or video may take.", original="none, in the server", least=256
    )
    media_timeout_s: float = _setting(120.0, "How long reading one image or video may take.", original="none", least=1)
    media_fetch_max_bytes: int = _setting(
        1024 * _MIB, "Larger images and videos that are in a bucket are not processed.", original="none", least=0
    )

    log_level: str = _setting("info", "debug, info, warning or error.")
    log_format: str = _setting("auto", "json, console, or auto: console on a terminal.")

    def __init__(self, **values: Any) -> None:
        """Take settings by name; the others have their defaults, and a client without an endpoint that of pass.

        Raises:
            TypeError: there is no such setting.

        """
        known = {one.name for one in fields(self)}
        for name in values.keys() - known:
            raise TypeError(f"there is no setting {name!r}")
        self.__dict__.update(values)
        for name in known:
            if name.endswith("_endpoint") and not getattr(self, name):
                self.__dict__[name] = self.pass_endpoint

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(self))

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, one.name) for one in fields(self)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
        return f"Settings({shown})"


def load(environ: Mapping[str, str] = os.environ, *, file: Path | None = None) -> Settings:
    """Read the settings: defaults, then the TOML file (argument, or `DRIVE_SETTINGS_FILE`), then `DRIVE_*` variables.

    A profile replaces defaults, wherever it is named: what the file or a variable sets stays.

    Raises:
        SettingsError: with every problem found.

    """
    problems: list[str] = []
    known = {one.name: one for one in fields(Settings)}
    values: dict[str, Any] = {}
    for name, raw, source in _given(environ, file, problems):
        if name not in known:
            problems.append(_unknown(name, source, known))
            continue
        try:
            values[name] = _parsed(known[name].type, raw)
            _check(name, values[name], known[name].metadata["least"])
        except ValueError as error:
            problems.append(f"{source}: {error}. {_example(name, known[name].default)}")
    problems += _contradictions(values)
    if problems:
        raise SettingsError(problems)
    return Settings(**{**PROFILES.get(values.get("profile", ""), {}), **values})


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _given(environ: Mapping[str, str], file: Path | None, problems: list[str]) -> Iterator[tuple[str, Any, str]]:
    """Yield name, raw value and where it was found; later ones win."""
    if file is None and environ.get(FILE_VARIABLE):
        file = Path(environ[FILE_VARIABLE])
    if file is not None:
        import tomllib

        try:
            table = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{file} cannot be read: {error}")
            table = {}
        yield from ((name, value, f"{file}: {name}") for name, value in table.items())
    for key, value in sorted(environ.items()):
        if key.startswith(PREFIX) and key != FILE_VARIABLE and not key.startswith("DRIVE_TEST_"):
            yield key.removeprefix(PREFIX).lower(), value, key


def _parsed(kind: Any, raw: Any) -> Any:
    """Turn text, or a TOML value, into the setting's type."""
    if isinstance(raw, str) and kind is not str:
        raw = raw.strip()
    if isinstance(raw, dict | list) or (isinstance(raw, bool) and kind is not bool):
        raise ValueError("is no value of this setting's type")
    parse = _PARSERS[kind]
    if kind is not str and raw == "":
        raise ValueError("is empty")
    try:
        return parse(raw if isinstance(raw, str) else str(raw))
    except ValueError as error:
        raise ValueError(f"is no {_KINDS[kind]}") from error


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    bool: _boolean,
    int: lambda text: int(text.replace("_", "")),
    float: float,
    Path: Path,
    Path | None: Path,
    UUID: UUID,
}
_KINDS = {
    str: "text",
    bool: "boolean, true or false",
    int: "whole number",
    float: "number",
    Path: "path",
    Path | None: "path",
    UUID: "UUID",
}


def _check(name: str, value: Any, least: float | None) -> None:
    if least is not None and not (least <= value < float("inf")):
        raise ValueError(f"must be at least {least:g}")
    if name == "profile" and value not in {"", *PROFILES}:
        raise ValueError(f"must be empty or {', '.join(PROFILES)}")
    if name == "log_level" and value not in {"debug", "info", "warning", "error"}:
        raise ValueError("must be debug, info, warning or error")
    if name == "log_format" and value not in {"auto", "json", "console"}:
        raise ValueError("must be auto, json or console")
    if name.endswith(("_endpoint", "_listen", "_url")):
        _check_address(name, value)
    if name == "grpc_tokens":
        _check_tokens(parse_tokens(value))
    if name == "quota_price_per_gib" and value and not _is_price(value):
        raise ValueError("must be a decimal number above zero, such as 0.50")
    if name == "quota_currency" and not 1 <= len(value) <= 64:  # noqa: PLR2004 - what an order's row holds
        raise ValueError("must have 1 to 64 characters")


def _check_address(name: str, value: str) -> None:
    if name == "http_listen" or (name in {"grpc_listen", "metrics_listen"} and value):
        parse_listen(value)
    if name.endswith("_endpoint") and value:
        _parse_endpoint(value)
    if name == "database_url" and not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    if name == "otel_url" and value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if name == "nats_url" and value:
        _check_nats(value)
    if name == "redis_url" and value and not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")


def _is_price(value: str) -> bool:
    """Tell whether sums of it are exact, as an order and pass write them."""
    whole, _, fraction = value.partition(".")
    digits = whole + fraction
    is_plain = digits.isascii() and digits.isdecimal() and value.count(".") == bool(fraction)
    return is_plain and 1 <= len(whole) <= 9 and len(fraction) <= 8 and int(digits) > 0  # noqa: PLR2004 - see pass


def _check_nats(value: str) -> None:
    problem = "must be nats://host:port or tls://host:port, or several of them with commas between"
    for url in value.split(","):
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # of the port; its text can be part of a password
            is_address = False
        if not is_address:
            raise ValueError(problem)


def _parse_endpoint(value: str) -> None:
    try:
        Endpoint.parse(value)
    except EndpointError as error:
        raise ValueError(str(error).removesuffix(".")) from error


def parse_listen(value: str) -> tuple[str, int]:
    """Split `host:port`, or `[ipv6]:port`.

    Raises:
        ValueError: it is neither.

    """
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError("must be host:port")
    return host, int(port)


def parse_tokens(value: str) -> list[str]:
    """Split what is written with commas between."""
    return [token.strip() for token in value.split(",")] if value else []


def _check_tokens(tokens: list[str]) -> None:
    for token in tokens:
        if len(token) < _TOKEN_LEAST_CHARS or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(
                f"must be tokens of at least {_TOKEN_LEAST_CHARS} visible ASCII characters, with commas between"
            )


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _half_pair("a client certificate", "grpc_cert_file", "grpc_key_file", values)
    yield from _half_pair("the gRPC server's certificate", "grpc_server_cert_file", "grpc_server_key_file", values)
    is_encrypted = values.get("grpc_server_cert_file") is not None
    if values.get("grpc_client_ca_file") is not None and not is_encrypted:
        yield f"callers show certificates only to a server that has one, too. {_SERVER_CERTIFICATE}"
    listen = values.get("grpc_listen", "")
    if not _is_beyond_this_machine(listen):
        return
    where = f"gRPC on {listen} can be reached from other machines"
    if values.get("grpc_client_ca_file") is None and not values.get("grpc_tokens"):
        yield f"{where}, and would let anybody delete files. {_AUTHENTICATION}"
    if values.get("grpc_tokens") and not is_encrypted:
        yield f"{where}, and tokens would be sent to it in plain text. {_SERVER_CERTIFICATE}"


def _half_pair(what: str, cert: str, key: str, values: Mapping[str, Any]) -> Iterator[str]:
    if (values.get(cert) is None) != (values.get(key) is None):
        absent = key if values.get(key) is None else cert
        yield f"{what} needs both of its files. Write {variable(absent)}=/path/to/file.pem"


def _is_beyond_this_machine(listen: str) -> bool:
    from ipaddress import ip_address

    try:
        host, _ = parse_listen(listen)
    except ValueError:  # which has been reported
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _unknown(name: str, source: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    nearest = get_close_matches(name, known, n=1)
    hint = f"Did you mean {variable(nearest[0])}?" if nearest else "docs/settings.md lists them all."
    return f"{source}: there is no such setting. {hint}"


def _example(name: str, default: Any) -> str:
    shown = default if default not in {None, ""} else "http://127.0.0.1:5001" if name.endswith("_endpoint") else "…"
    return f"Write for example {variable(name)}={shown}"
