"""The compiled descriptors say exactly what `wire.toml` says: nothing missing, nothing extra, nothing moved."""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

ROOT = Path(__file__).parents[2]
PACKAGE = "proto"
WIRE: dict[str, dict[str, dict[str, dict[str, Any]]]] = tomllib.loads(
    Path(__file__).with_name("wire.toml").read_text("utf-8"),
)


def compiled(name: str) -> FileDescriptorProto:
    """Read back what protoc made of one file."""
    described = FileDescriptorProto()
    importlib.import_module(f"drive.proto.{name}_pb2").DESCRIPTOR.CopyToProto(described)
    return described


def local(full_name: str) -> str:
    """Shorten a name of our own package, as the data file does."""
    return full_name.removeprefix(".").removeprefix(f"{PACKAGE}.")


def scalar(field: FieldDescriptorProto) -> str:
    """Spell a field's type as a `.proto` file does, without its label."""
    return local(field.type_name) or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def map_entry(message: DescriptorProto, field: FieldDescriptorProto) -> DescriptorProto | None:
    """Find the nested message that carries a map field, which is how protobuf stores maps."""
    wanted = field.type_name.rsplit(".", 1)[-1]
    return next((nested for nested in message.nested_type if nested.options.map_entry and nested.name == wanted), None)


def spelled(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """Spell a field's label and type as the data file does."""
    if entry := map_entry(message, field):
        return f"map<{', '.join(scalar(part) for part in entry.field)}>"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {scalar(field)}"
    if field.proto3_optional:
        return f"optional {scalar(field)}"
    if field.HasField("oneof_index"):
        return f"oneof {message.oneof_decl[field.oneof_index].name} {scalar(field)}"
    return scalar(field)


def described_facts(described: FileDescriptorProto) -> Iterator[str]:
    """Give one line for each thing that a compiled file says."""
    for service in described.service:
        yield f"service {service.name}"
        for rpc in service.method:
            streams = "stream " if rpc.client_streaming or rpc.server_streaming else ""
            yield f"rpc {service.name}.{rpc.name}: {streams}{local(rpc.input_type)} -> {local(rpc.output_type)}"
    for message in described.message_type:
        yield f"message {message.name}"
        for field in message.field:
            yield f"field {message.name}.{field.name}: {field.number} {spelled(message, field)}"
        yield from (f"nested message {it.name}" for it in message.nested_type if not it.options.map_entry)
        yield from (f"nested enum {it.name}" for it in message.enum_type)
    for enum in described.enum_type:
        yield f"enum {enum.name}"
        for value in enum.value:
            yield f"value {enum.name}.{value.name}: {value.number}"


def written_facts(sections: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Give the same lines for what the data file says."""
    for service, rpcs in sections.get("services", {}).items():
        yield f"service {service}"
        yield from (f"rpc {service}.{rpc}: {request} -> {response}" for rpc, (request, response) in rpcs.items())
    for message, fields in sections.get("messages", {}).items():
        yield f"message {message}"
        yield from (f"field {message}.{field}: {number} {kind}" for field, (number, kind) in fields.items())
    for enum, values in sections.get("enums", {}).items():
        yield f"enum {enum}"
        yield from (f"value {enum}.{value}: {number}" for value, number in values.items())


def test_every_proto_file_is_written_down() -> None:
    """A new `.proto` file without its facts, or facts without a file, would go unchecked."""
    assert {path.stem for path in (ROOT / "protos/drive/proto").glob("*.proto")} == set(WIRE)


@pytest.mark.parametrize("name", WIRE)
def test_the_descriptors_say_what_is_written_down(name: str) -> None:
    """Both ways: what only one side says is shown line by line."""
    compiled_says, file_says = set(described_facts(compiled(name))), set(written_facts(WIRE[name]))
    differences = {
        "missing on the wire": sorted(file_says - compiled_says),
        "on the wire, but not written down": sorted(compiled_says - file_says),
    }
    assert not any(differences.values()), differences


@pytest.mark.parametrize("name", WIRE)
def test_the_path_of_a_method_is_that_of_the_original(name: str) -> None:
    """Full method paths are `/proto.Service/Method`, and presence follows proto3."""
    described = compiled(name)
    assert (described.package, described.syntax) == (PACKAGE, "proto3")


def test_nothing_of_the_services_that_are_left_out_is_on_the_wire() -> None:
    """BotAccountReceiverService is never called, and nothing it alone reaches may come back."""
    services = {service for sections in WIRE.values() for service in sections["services"]}
    assert services == {
        "AccountService",
        "ActionLogService",
        "AuthService",
        "ExperienceService",
        "FileReferenceService",
        "FileService",
        "PaymentService",
        "PermissionService",
        "RealmService",
        "RingService",
        "SocialCreditService",
        "WalletService",
    }
