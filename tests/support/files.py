"""Files, made without a database."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drive.files.interfaces import CloudFile, Visibility
from drive.pools.interfaces import BillingConfig, Policy, Pool, StorageConfig

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_POOL = Pool(
    id=UUID(int=1),
    name="pool",
    description="",
    storage_config=StorageConfig(),
    billing_config=BillingConfig(),
    policy_config=Policy(),
    is_hidden=False,
    account_id=None,
    created_at=_AT,
    updated_at=_AT,
)
_FILE: dict[str, Any] = {
    "id": "file",
    "name": "file.bin",
    "description": None,
    "file_meta": None,
    "user_meta": None,
    "sensitive_marks": None,
    "mime_type": "application/octet-stream",
    "hash": "00" * 32,
    "expired_at": None,
    "size": 1,
    "uploaded_at": _AT,
    "has_compression": False,
    "has_thumbnail": False,
    "variants": {},
    "is_encrypted": False,
    "pool": _POOL,
    "pool_id": _POOL.id,
    "bundle_id": None,
    "is_marked_recycle": False,
    "storage_id": "object",
    "storage_url": None,
    "references": [],
    "account_id": UUID(int=2),
    "resource_identifier": "file:file",
    "created_at": _AT,
    "updated_at": _AT,
    "visibility": Visibility.PUBLIC,
    "realm_id": None,
}


def cloud_file(**fields: Any) -> CloudFile:
    """Return a file; fields replace those of a plain one."""
    return CloudFile(**_FILE | fields)
