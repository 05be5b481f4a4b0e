"""Event bodies between protobuf and the JSON of the journal, driven by the descriptors, both ways.

Fields at their default are left out; a `bytes x_json` field is embedded as JSON under `x`; times become RFC 3339.
Readers ignore keys they do not know, so old journals and newer writers are read alike.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from dipeo_protos.store.v1 import events_pb2
from dipeo_store.errors import InvalidEvent
from dipeo_store.model import Json

Convert = Callable[[Any], Any]

_IRREGULAR = {"execution_maxiter_reached": "execution.maxiter"}  # as in spec/store.md §15.5
_BODY = events_pb2.Event.DESCRIPTOR
TYPE_OF_FIELD: dict[str, str] = {
    field.name: _IRREGULAR.get(field.name, field.name.replace("_", ".", 1))
    for field in _BODY.oneofs_by_name["body"].fields
}
FIELD_OF_TYPE: dict[str, str] = {type_: field for field, type_ in TYPE_OF_FIELD.items()}


def checked_json(text: bytes, what: str) -> Json:
    """`text` as JSON to carry. Raises InvalidEvent."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(f"{what} is not valid JSON: {error}") from error
    return Json(text)


def dump(value: Any) -> str:
    """JSON text; Json inside is embedded as it is."""
    return orjson.dumps(value, default=_embed).decode()


def _embed(value: Any) -> Any:
    if isinstance(value, Json):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} in a payload")


_BIG_NUMBER = re.compile(r"\d{18}")


def load(text: str) -> Any:
    """JSON text to values, integers exact: orjson reads those beyond 64 bits as floats."""
    return json.loads(text) if _BIG_NUMBER.search(text) else orjson.loads(text)


def json_bytes(value: Any) -> bytes:
    """The bytes of a JSON field: as they came, or from a value read back."""
    if isinstance(value, Json):
        return value.text
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def body_of(message: Message) -> dict[str, Any]:
    """What the journal keeps of a message. Raises InvalidEvent naming a field that holds no JSON."""
    plan = _outward(message.DESCRIPTOR)
    body = {}
    for field, value in message.ListFields():
        key, convert = plan[field.name]
        body[key] = value if convert is _same else convert(value)
    return body


def fields_of(descriptor: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for the constructor of the message a body came from."""
    plan = _inward(descriptor)
    return {plan[key][0]: plan[key][1](value) for key, value in body.items() if key in plan}


def event_fields(type_: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the body of an event."""
    return fields_of(_BODY.fields_by_name[FIELD_OF_TYPE[type_]].message_type, body)


@cache
def _outward(descriptor: Any) -> dict[str, tuple[str, Convert]]:
    return {field.name: (_key(field), _writer(field)) for field in descriptor.fields}


@cache
def _inward(descriptor: Any) -> dict[str, tuple[str, Convert]]:
    return {_key(field): (field.name, _reader(field)) for field in descriptor.fields}


def _is_json(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_BYTES and field.name.endswith("_json")


def _key(field: FieldDescriptor) -> str:
    return field.name.removesuffix("_json") if _is_json(field) else field.name


def _writer(field: FieldDescriptor) -> Convert:
    if _is_json(field):
        return lambda value: checked_json(value, field.full_name)
    if field.message_type is None:
        return list if field.is_repeated else _same
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return Timestamp.ToJsonString
    return _each(body_of) if field.is_repeated else body_of


def _reader(field: FieldDescriptor) -> Convert:
    if _is_json(field):
        return json_bytes
    inner = field.message_type
    if inner is None:
        return _same
    if inner.full_name == "google.protobuf.Timestamp":
        return _timestamp
    made = GetMessageClass(inner)

    def one(value: Mapping[str, Any]) -> Message:
        return made(**fields_of(inner, value))

    return _each(one) if field.is_repeated else one


def _same(value: Any) -> Any:
    return value


def _each(convert: Convert) -> Convert:
    return lambda values: [convert(value) for value in values]


def _timestamp(text: str) -> Timestamp:
    at = Timestamp()
    at.FromJsonString(text)
    return at
