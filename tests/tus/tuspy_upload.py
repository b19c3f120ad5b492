"""Upload a file by tuspy and say where: python tuspy_upload.py ENDPOINT TOKEN FILE CHUNK_BYTES CHECKSUM."""

import sys

from tusclient.client import TusClient  # type: ignore[import-not-found]  # it is in .venv-tools

endpoint, token, path, chunk_bytes, checksum = sys.argv[1:]
uploader = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"}).uploader(
    path,
    metadata={"filename": "über.bin", "filetype": "application/octet-stream"},
    chunk_size=int(chunk_bytes) or sys.maxsize,
    upload_checksum=bool(checksum),
    retries=100,
    retry_delay=0.05,
)
uploader.upload()
sys.stdout.write(uploader.request.response_headers["upload-file-id"])
