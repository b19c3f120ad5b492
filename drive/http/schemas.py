"""JSON Schemas of bodies, as msgspec knows their types."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from drive.http.describe import Schema

_REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """The schemas of what is sent and answered, by the name that each has here.

    Args:
        bodies: what clients send. What has a default may be left out.
        answers: what clients get. It is always whole.
        limits: by the type of a body, what its annotations do not say of its fields.

    """

    def __init__(
        self,
        *,
        bodies: Mapping[str, Any],
        answers: Mapping[str, Any],
        limits: Mapping[type, Mapping[str, Schema]],
    ) -> None:
        self.body, sent = _generated(bodies)
        self.answer, answered = _generated(answers)
        for type_, fields in limits.items():
            for name, more in fields.items():
                _limit(sent[type_.__name__]["properties"][name], more)
        for schema in answered.values():
            _complete(schema)
        both = sorted(name for name in sent.keys() & answered.keys() if sent[name] != answered[name])
        if both:
            raise ValueError(f"sent and answered, but not the same: {', '.join(both)}. Give them types of their own")
        self.components: dict[str, Schema] = dict(sorted((sent | answered).items()))


def _generated(types: Mapping[str, Any]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    schemas, components = msgspec.json.schema_components(types.values(), ref_template=_REFERENCE)
    for info in inspect.multi_type_info(types.values()):
        for node in _walk(info):
            if isinstance(node, inspect.StructType):
                _mark_times(components[node.cls.__name__]["properties"], node)
            if isinstance(node, inspect.EnumType):
                _name_numbers(components[node.cls.__name__], node)
    return dict(zip(types, schemas, strict=True)), components


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, (inspect.Type, inspect.Field)):
                yield from _walk(child)


def _mark_times(properties: dict[str, Schema], struct: inspect.StructType) -> None:
    """Say of a time that it is one: msgspec does so only where a time zone must be sent, and we always send one."""
    for field in struct.fields:
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(it, inspect.DateTimeType) for it in types):
            for schema in _alternatives(properties[field.encode_name]):
                if schema.get("type") == "string":
                    schema["format"] = "date-time"


def _name_numbers(schema: Schema, enum: inspect.EnumType) -> None:
    if all(isinstance(member.value, int) for member in enum.cls):
        names = ", ".join(f"{member.value} {member.name.lower().replace('_', ' ')}" for member in enum.cls)
        schema["description"] = f"{enum.cls.__doc__} {names}"


def _alternatives(schema: Schema) -> Iterable[Schema]:
    return [schema, *schema.get("anyOf", ())]


def _limit(schema: Schema, more: Schema) -> None:
    """Add keywords to the one alternative that is not null, or replace all where they say which there are."""
    if "type" in more or "anyOf" in more:
        schema.clear()
    (target,) = [it for it in schema.get("anyOf", [schema]) if it.get("type") != "null"]
    target.update(more)


def _complete(schema: Schema) -> None:
    """Say that what has a default is always there, and drop the default: that is for whoever may leave it out."""
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        if "default" in part:
            del part["default"]
            required.append(name)
