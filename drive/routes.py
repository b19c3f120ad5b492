"""What is served: every route, who may call it, and whose method answers. Fixed names come before ids."""

from typing import Final

from drive.http import tus
from drive.http.routes import UUID_PATTERN, Access, Route

_HEALTH = "drive.http.health:HealthHandlers"
_DOCS = "drive.http.docs:DocsHandlers"
_FILES = "drive.files.handlers:FileHandlers"
_UPLOADS = "drive.uploads.handlers:UploadHandlers"
_TUS = "drive.uploads.handlers:TusHandlers"
_UPLOAD_TASKS = "drive.uploads.handlers:UploadTaskHandlers"
_FOLDERS = "drive.folders.handlers:FolderHandlers"
_POOLS = "drive.pools.handlers:PoolHandlers"
_BILLING = "drive.billing.handlers:BillingHandlers"
_BUNDLES = "drive.bundles.handlers:BundleHandlers"

_ID = f"{{id:{UUID_PATTERN}}}"
_ORDER = f"/api/billing/orders/{_ID}"
_TUS_UPLOAD = f"{tus.PATH}/{{uploadId}}"

ROUTES: Final = (
    Route("GET", "/alive", _HEALTH, "alive", Access.OPEN),
    Route("GET", "/health", _HEALTH, "health", Access.OPEN),
    Route("GET", "/openapi.json", _DOCS, "document", Access.OPEN),
    Route("GET", "/docs", _DOCS, "page", Access.OPEN),
    Route("GET", "/api/files/me", _FILES, "mine"),
    Route("POST", "/api/files/batches/delete", _FILES, "delete_batch"),
    Route("DELETE", "/api/files/me/recycle", _FILES, "purge_own"),
    Route("DELETE", "/api/files/recycle", _FILES, "purge_all"),
    Route("GET", "/api/files/{id}", _FILES, "download", Access.ANYBODY),
    Route("GET", "/api/files/{id}/info", _FILES, "info", Access.ANYBODY),
    Route("PATCH", "/api/files/{id}/name", _FILES, "rename"),
    Route("PUT", "/api/files/{id}/marks", _FILES, "mark"),
    Route("PUT", "/api/files/{id}/meta", _FILES, "describe"),
    Route("PUT", "/api/files/{id}/permission", _FILES, "permit"),
    Route("GET", "/api/files/{id}/references", _FILES, "references", Access.ANYBODY),
    Route("POST", "/api/files/{id}/recycle", _FILES, "recycle"),
    Route("DELETE", "/api/files/{id}/recycle", _FILES, "restore"),
    Route("DELETE", "/api/files/{id}", _FILES, "delete"),
    Route("POST", "/api/files/upload/direct", _UPLOADS, "direct"),
    Route("POST", "/api/files/upload/create", _UPLOADS, "create"),
    Route("POST", r"/api/files/upload/chunk/{taskId}/{chunkIndex:\d{1,9}}", _UPLOADS, "chunk"),
    Route("POST", "/api/files/upload/complete/{taskId}", _UPLOADS, "complete"),
    Route("GET", "/api/files/upload/progress/{taskId}", _UPLOADS, "progress"),
    Route("GET", "/api/files/upload/resume/{taskId}", _UPLOADS, "progress"),
    Route("DELETE", "/api/files/upload/task/{taskId}", _UPLOADS, "cancel"),
    *(Route("OPTIONS", path, _TUS, "options", Access.OPEN) for path in (tus.PATH, f"{tus.PATH}/", _TUS_UPLOAD)),
    *(Route("POST", path, _TUS, "create") for path in (tus.PATH, f"{tus.PATH}/")),
    *(Route(method, _TUS_UPLOAD, _TUS, "dispatch") for method in ("HEAD", "PATCH", "DELETE", "POST")),
    Route("GET", "/api/files/upload/stats", _UPLOAD_TASKS, "statistics"),
    Route("GET", "/api/files/upload/tasks", _UPLOAD_TASKS, "listed"),
    Route("GET", "/api/files/upload/tasks/recent", _UPLOAD_TASKS, "recent"),
    Route("GET", "/api/files/upload/tasks/{taskId}/details", _UPLOAD_TASKS, "details"),
    Route("DELETE", "/api/files/upload/tasks/cleanup", _UPLOAD_TASKS, "clean_up"),
    Route("GET", "/api/index/browse", _FOLDERS, "browse"),
    Route("GET", "/api/index/all", _FOLDERS, "everything"),
    Route("GET", "/api/index/unindexed", _FOLDERS, "unindexed"),
    Route("GET", "/api/index/search", _FOLDERS, "search"),
    Route("POST", "/api/index/create", _FOLDERS, "create"),
    Route("POST", "/api/index/move/{indexId}", _FOLDERS, "move"),
    Route("DELETE", "/api/index/remove/{indexId}", _FOLDERS, "remove"),
    Route("DELETE", "/api/index/clear-path", _FOLDERS, "clear"),
    Route("GET", "/api/pools", _POOLS, "listed"),
    Route("DELETE", f"/api/pools/{_ID}/recycle", _POOLS, "purge"),
    Route("GET", "/api/billing/quota", _BILLING, "quota"),
    Route("GET", "/api/billing/quota/records", _BILLING, "records"),
    Route("GET", "/api/billing/usage", _BILLING, "usage"),
    Route("GET", f"/api/billing/usage/{{poolId:{UUID_PATTERN}}}", _BILLING, "pool_usage"),
    Route("GET", "/api/billing/offers", _BILLING, "offers"),
    Route("GET", "/api/billing/orders", _BILLING, "orders"),
    Route("POST", "/api/billing/orders", _BILLING, "create_order"),
    Route("GET", _ORDER, _BILLING, "order"),
    Route("DELETE", _ORDER, _BILLING, "cancel_order"),
    Route("POST", f"{_ORDER}/pay", _BILLING, "pay_order"),
    Route("POST", f"{_ORDER}/settle", _BILLING, "settle_order"),
    Route("GET", "/api/bundles/me", _BUNDLES, "mine"),
    Route("GET", "/api/bundles/by-slug/{slug}", _BUNDLES, "shown_by_slug", Access.ANYBODY),
    Route("GET", f"/api/bundles/{_ID}", _BUNDLES, "shown", Access.ANYBODY),
    Route("POST", "/api/bundles", _BUNDLES, "create"),
    Route("PUT", f"/api/bundles/{_ID}", _BUNDLES, "change"),
    Route("DELETE", f"/api/bundles/{_ID}", _BUNDLES, "delete"),
)
