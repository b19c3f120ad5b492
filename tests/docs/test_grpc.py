"""docs/grpc.md names what is served."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from drive.files.catalog import MOST_FILES
from drive.proto import file_pb2
from drive.references.service import MOST_ANSWERED, MOST_ASKED
from drive.rpc.boundary import MESSAGE_MAX_BYTES
from drive.rpc.server import MOST_CALLS

TEXT = Path(__file__).parents[2].joinpath("docs/grpc.md").read_text()


@pytest.mark.parametrize("service", file_pb2.DESCRIPTOR.services_by_name.values(), ids=lambda it: it.name)
def test_every_rpc_is_documented_and_no_other(service: ServiceDescriptor) -> None:
    section = TEXT.partition(f"\n## {service.name}\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {method.name for method in service.methods}


def test_the_limits_are_those_of_the_code() -> None:
    assert (MOST_FILES, MOST_ASKED, MOST_ANSWERED, MOST_CALLS) == (1000, 1000, 10_000, 256)
    assert MESSAGE_MAX_BYTES == 16 * 1024 * 1024
    assert all(limit in TEXT for limit in ("up to 1000", "up to 10 000", "256 calls", "16 MiB"))
