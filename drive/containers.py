"""The wiring of all that `drive serve` needs, from top to bottom. What only the worker needs is in worker_container.py.

Building it opens nothing, no file and no socket, and imports nothing: the class of a `Part` is imported when the first
object of it is made.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Callable, Dict, List, Object, Singleton

from drive.cache.redis import close_redis, open_redis
from drive.db.pool import close_pool, open_pool
from drive.http.client import close_session, open_session
from drive.lazy import Channels, Lazy, Once, Part, Stub, Tls
from drive.settings import load, parse_tokens

if TYPE_CHECKING:
    import aiohttp
    import asyncpg
    import redis.asyncio

    from drive.billing.orders import Orders
    from drive.billing.service import Billing
    from drive.bundles.access import BundleAccess
    from drive.bundles.passcodes import Passcodes
    from drive.bundles.service import Bundles
    from drive.cache.cache import Cache
    from drive.clients.accounts import AccountsClient
    from drive.clients.outbox import Outbox
    from drive.clients.realms import RealmsClient
    from drive.clients.ring import RingClient
    from drive.db.database import Database
    from drive.files.permissions import Permissions
    from drive.files.recycling import Recycling
    from drive.files.service import Files
    from drive.folders.service import Folders
    from drive.http.auth import Authenticator
    from drive.http.trail import Trail
    from drive.pools.service import Pools
    from drive.proto.account_pb2_grpc import AccountServiceStub, ActionLogServiceStub
    from drive.proto.auth_pb2_grpc import AuthServiceStub, PermissionServiceStub
    from drive.proto.leveling_pb2_grpc import ExperienceServiceStub, SocialCreditServiceStub
    from drive.proto.realm_pb2_grpc import RealmServiceStub
    from drive.proto.ring_pb2_grpc import RingServiceStub
    from drive.proto.wallet_pb2_grpc import PaymentServiceStub, WalletServiceStub
    from drive.references.service import References
    from drive.rpc.server import RpcServer
    from drive.storage.local import LocalStore
    from drive.storage.stores import PoolStores
    from drive.uploads.feed import Feed
    from drive.uploads.hashes import RunningHashes
    from drive.uploads.limits import Limits
    from drive.uploads.service import Uploads
    from drive.uploads.tus import TusUploads


def _where_configured(url: str, redis: "Lazy[redis.asyncio.Redis]") -> "Lazy[redis.asyncio.Redis] | None":
    return redis if url else None


def _unless_never(timeout_s: float) -> float | None:
    return timeout_s or None


def _rpc_server(
    database: "Database",
    references: "References",
    *,
    listen: str,
    cert_file: Path | None,
    key_file: Path | None,
    client_ca_file: Path | None,
    tokens: str,
    with_reflection: bool,
) -> "RpcServer":
    """Import gRPC's part of the service, which only those processes need that serve it."""
    from drive.files.catalog import Catalog
    from drive.rpc.server import RpcServer
    from drive.rpc.tls import ServerTls

    return RpcServer(
        Catalog(database),
        references,
        database,
        listen=listen,
        tls=ServerTls(cert_file, key_file, client_ca_file),
        tokens=parse_tokens(tokens),
        with_reflection=with_reflection,
    )


class Container(DeclarativeContainer):
    """Drive's parts. Replace any: `Container(settings=Settings(…))`, or `container.store.override(…)` in a test."""

    settings = Singleton(load)
    _s = settings.provided
    role = Object("app")
    """What the process is there for: its connections are named after it."""

    # ── The ten gRPC clients: one channel per endpoint, opened by the first call to it ───────────────────────────────
    channels = Singleton(
        Channels,
        max_connections=_s.grpc_max_connections,
        one_per_service=_s.grpc_channel_per_client,
        idle_timeout_s=Callable(_unless_never, _s.grpc_idle_timeout_s),
        tls=Singleton(Tls, ca_file=_s.grpc_ca_file, cert_file=_s.grpc_cert_file, key_file=_s.grpc_key_file),
    )
    _deadline_s = _s.grpc_deadline_s
    auth: "Stub[AuthServiceStub]" = Stub(
        "drive.proto.auth_pb2_grpc:AuthServiceStub",
        channels,
        endpoint=_s.auth_endpoint,
        timeout_s=_deadline_s,
        idempotent=["Authenticate"],
    )
    permissions: "Stub[PermissionServiceStub]" = Stub(
        "drive.proto.auth_pb2_grpc:PermissionServiceStub",
        channels,
        endpoint=_s.permissions_endpoint,
        timeout_s=_deadline_s,
        idempotent=["HasPermission"],
    )
    accounts: "Stub[AccountServiceStub]" = Stub(
        "drive.proto.account_pb2_grpc:AccountServiceStub",
        channels,
        endpoint=_s.accounts_endpoint,
        timeout_s=_deadline_s,
        idempotent=["GetAccount"],
    )
    action_logs: "Stub[ActionLogServiceStub]" = Stub(
        "drive.proto.account_pb2_grpc:ActionLogServiceStub",
        channels,
        endpoint=_s.action_logs_endpoint,
        timeout_s=_deadline_s,
    )
    payments: "Stub[PaymentServiceStub]" = Stub(
        "drive.proto.wallet_pb2_grpc:PaymentServiceStub", channels, endpoint=_s.payments_endpoint, timeout_s=_deadline_s
    )
    wallets: "Stub[WalletServiceStub]" = Stub(
        "drive.proto.wallet_pb2_grpc:WalletServiceStub",
        channels,
        endpoint=_s.wallets_endpoint,
        timeout_s=_deadline_s,
        idempotent=["GetWallet"],
    )
    realms: "Stub[RealmServiceStub]" = Stub(
        "drive.proto.realm_pb2_grpc:RealmServiceStub",
        channels,
        endpoint=_s.realms_endpoint,
        timeout_s=_deadline_s,
        idempotent=["IsMemberWithRole"],
    )
    social_credits: "Stub[SocialCreditServiceStub]" = Stub(
        "drive.proto.leveling_pb2_grpc:SocialCreditServiceStub",
        channels,
        endpoint=_s.social_credits_endpoint,
        timeout_s=_deadline_s,
        idempotent=["GetSocialCredit"],
    )
    experiences: "Stub[ExperienceServiceStub]" = Stub(
        "drive.proto.leveling_pb2_grpc:ExperienceServiceStub",
        channels,
        endpoint=_s.experiences_endpoint,
        timeout_s=_deadline_s,
    )
    ring: "Stub[RingServiceStub]" = Stub(
        "drive.proto.ring_pb2_grpc:RingServiceStub", channels, endpoint=_s.ring_endpoint, timeout_s=_deadline_s
    )

    # ── Pools and sessions: each opened at its first use ─────────────────────────────────────────────────────────────
    database_pool: "Once[asyncpg.Pool]" = Once(
        open_pool,
        close=close_pool,
        role=role,
        url=_s.database_url,
        max_connections=_s.database_max_connections,
        idle_timeout_s=_s.database_idle_timeout_s,
        connect_timeout_s=_s.database_connect_timeout_s,
        query_timeout_s=_s.database_query_timeout_s,
    )
    redis: "Once[redis.asyncio.Redis]" = Once(
        open_redis,
        close=close_redis,
        role=role,
        url=_s.redis_url,
        max_connections=_s.redis_max_connections,
        connect_timeout_s=_s.redis_connect_timeout_s,
        operation_timeout_s=_s.redis_operation_timeout_s,
        retries=_s.redis_retries,
    )
    http_session: "Once[aiohttp.ClientSession]" = Once(
        open_session,
        close=close_session,
        connections_per_host=_s.http_client_connections_per_host,
        timeout_s=_s.http_client_timeout_s,
    )

    are_events_on = Callable(bool, _s.nats_url)
    database: "Part[Database]" = Part(
        "drive.db.database:Database", database_pool, connect_timeout_s=_s.database_connect_timeout_s
    )
    cache: "Part[Cache]" = Part(
        "drive.cache.cache:Cache",
        Callable(_where_configured, _s.redis_url, redis),
        ttl_s=_s.cache_ttl_s,
        operation_timeout_s=_s.redis_operation_timeout_s,
    )
    local_store: "Part[LocalStore]" = Part("drive.storage.local:LocalStore", _s.storage_path)
    stores: "Part[PoolStores]" = Part(
        "drive.storage.stores:PoolStores", local_store, database, http_session, storage_path=_s.storage_path
    )

    # ── Services ─────────────────────────────────────────────────────────────────────────────────────────────────────
    accounts_client: "Part[AccountsClient]" = Part(
        "drive.clients.accounts:AccountsClient", auth, permissions, accounts, cache
    )
    realms_client: "Part[RealmsClient]" = Part("drive.clients.realms:RealmsClient", realms, cache)
    ring_client: "Part[RingClient]" = Part("drive.clients.ring:RingClient", ring)
    outbox: "Part[Outbox]" = Part("drive.clients.outbox:Outbox")
    trail: "Part[Trail]" = Part(
        "drive.http.trail:Trail", Part("drive.clients.action_logs:ActionLogsClient", action_logs), outbox
    )
    authenticator: "Part[Authenticator]" = Part(
        "drive.http.auth:Authenticator",
        accounts_client,
        cache_ttl_s=_s.auth_cache_ttl_s,
        cache_entries=_s.auth_cache_entries,
    )
    passcodes: "Part[Passcodes]" = Part("drive.bundles.passcodes:Passcodes", Part("drive.bundles.attempts:Attempts"))
    bundle_access: "Part[BundleAccess]" = Part("drive.bundles.access:BundleAccess", passcodes, realms_client)
    bundles: "Part[Bundles]" = Part(
        "drive.bundles.service:Bundles", database, accounts_client, realms_client, passcodes, bundle_access
    )
    files: "Part[Files]" = Part("drive.files.service:Files", database, bundle_access, realms_client)
    file_permissions: "Part[Permissions]" = Part(
        "drive.files.permissions:Permissions",
        files,
        realms_client,
        Part("drive.clients.social_credits:SocialCreditsClient", social_credits, cache),
    )
    references: "Part[References]" = Part("drive.references.service:References", database)
    folders: "Part[Folders]" = Part("drive.folders.service:Folders", database)
    pools: "Part[Pools]" = Part("drive.pools.service:Pools", database)
    recycling: "Part[Recycling]" = Part("drive.files.recycling:Recycling", database, accounts_client, pools)
    billing: "Part[Billing]" = Part(
        "drive.billing.service:Billing",
        database,
        accounts_client,
        base_mib_by_tier=Dict(
            {0: _s.quota_base_mib, 1: _s.quota_tier1_mib, 2: _s.quota_tier2_mib, 3: _s.quota_tier3_mib}
        ),
    )
    orders: "Part[Orders]" = Part(
        "drive.billing.orders:Orders",
        database=database,
        accounts=accounts_client,
        payments=Part("drive.clients.payments:PaymentsClient", payments),
        wallets=Part("drive.clients.wallets:WalletsClient", wallets),
        price_per_gib=_s.quota_price_per_gib,
        currency=_s.quota_currency,
        lifetime_s=_s.quota_order_lifetime_s,
        deadline_s=_deadline_s,
    )
    feed: "Part[Feed]" = Part(
        "drive.uploads.feed:Feed",
        ring_client,
        outbox,
        min_bytes=_s.progress_min_bytes,
        interval_s=_s.progress_interval_s,
    )
    limits: "Part[Limits]" = Part(
        "drive.uploads.limits:Limits",
        file_bytes=_s.upload_max_bytes,
        direct_bytes=_s.upload_direct_max_bytes,
        chunk_bytes=_s.upload_chunk_bytes,
        chunk_max_bytes=_s.upload_chunk_max_bytes,
        chunks_max=_s.upload_chunks_max,
        lifetime_s=_s.upload_lifetime_s,
    )
    hashes: "Part[RunningHashes]" = Part("drive.uploads.hashes:RunningHashes")
    uploads: "Part[Uploads]" = Part(
        "drive.uploads.service:Uploads",
        database=database,
        stores=stores,
        accounts=accounts_client,
        pools=pools,
        billing=billing,
        files=files,
        file_permissions=file_permissions,
        feed=feed,
        limits=limits,
        hashes=hashes,
        default_pool_id=_s.default_pool_id,
        are_events_on=are_events_on,
    )
    tus_uploads: "Part[TusUploads]" = Part(
        "drive.uploads.tus:TusUploads",
        database=database,
        stores=stores,
        uploads=uploads,
        hashes=hashes,
        feed=feed,
        limits=limits,
    )

    # ── What answers: HTTP, and gRPC where it is listened for ────────────────────────────────────────────────────────
    health = Part[object](
        "drive.http.health:HealthHandlers",
        essential=Dict(database=Part("drive.http.health:Pooled", database_pool, database.provider)),
        helpful=Dict(
            {
                "redis": Part(
                    "drive.http.health:Pooled", Callable(_where_configured, _s.redis_url, redis), cache.provider
                ),
                "pass": Part("drive.http.health:Peer", channels, _s.pass_endpoint),
                "ring": Part("drive.http.health:Peer", channels, _s.ring_endpoint),
            }
        ),
    )
    handlers = List(
        health,
        Part("drive.http.docs:DocsHandlers"),
        Part("drive.files.handlers:FileHandlers", files, stores, recycling, trail, file_permissions, references),
        Part("drive.uploads.handlers:UploadHandlers", uploads),
        Part("drive.uploads.handlers:TusHandlers", tus_uploads),
        Part("drive.uploads.handlers:UploadTaskHandlers", Part("drive.uploads.history:UploadHistory", database)),
        Part("drive.folders.handlers:FolderHandlers", folders, trail),
        Part("drive.pools.handlers:PoolHandlers", pools, recycling, trail),
        Part("drive.billing.handlers:BillingHandlers", billing, orders, trail),
        Part("drive.bundles.handlers:BundleHandlers", bundles, trail),
    )
    """Who answers the routes of drive/routes.py; each is imported and built by the first request for it."""
    rpc_server: "Singleton[RpcServer]" = Singleton(
        _rpc_server,
        database,
        references,
        listen=_s.grpc_listen,
        cert_file=_s.grpc_server_cert_file,
        key_file=_s.grpc_server_key_file,
        client_ca_file=_s.grpc_client_ca_file,
        tokens=_s.grpc_tokens,
        with_reflection=_s.grpc_reflection,
    )
