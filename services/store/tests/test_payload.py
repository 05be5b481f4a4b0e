"""Every event survives the way into the journal and back."""

import json

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from store_client import event

from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_store import payload, wire
from dipeo_store.errors import InvalidEvent, NewerEvent
from dipeo_store.model import Event

FIELDS = [field.name for field in ev.Event.DESCRIPTOR.oneofs_by_name["body"].fields]


def filled(descriptor) -> dict:
    """A value other than the default for every field of a message."""
    return {field.name: _filled(field) for field in descriptor.fields}


def _filled(field):
    if field.message_type is None:
        value = {
            field.TYPE_STRING: f'{field.name} "ü" \n🙂',
            field.TYPE_BYTES: b'{"a":[1,2.5,null,"\\u0000"],"b":{}}',
            field.TYPE_BOOL: True,
            field.TYPE_DOUBLE: 0.25,
            field.TYPE_INT32: 2**31 - 1,
            field.TYPE_INT64: 2**63 - 1,
            field.TYPE_UINT64: 2**64 - 1,
        }[field.type]
    elif field.message_type.name == "Timestamp":
        value = Timestamp(seconds=1_800_000_000, nanos=123_456_000)
    else:
        value = filled(field.message_type)
    return [value, value] if field.is_repeated else value


def stored(made: Event) -> Event:
    """As it comes back from the database."""
    return made._replace(body=payload.load(made.payload))


@pytest.mark.parametrize("field", FIELDS)
def test_an_event_with_every_field_set_comes_back_the_same(field: str):
    original = event(field, **filled(ev.Event.DESCRIPTOR.fields_by_name[field].message_type))
    original.at.nanos -= original.at.nanos % 1000  # the journal keeps microseconds
    made = wire.event_from_pb(original)
    assert wire.event_to_pb(made) == original
    assert wire.event_to_pb(stored(made)) == original


@pytest.mark.parametrize("field", FIELDS)
def test_an_event_with_no_field_set_comes_back_the_same(field: str):
    made = wire.event_from_pb(event(field))
    assert made.payload == "{}"
    assert getattr(wire.event_to_pb(stored(made)), field).ByteSize() == 0


@pytest.mark.parametrize(
    "text", [b"100000000000000000000", b'{"n":-123456789012345678901234567890}', b"1e3", b'"\\u0000"']
)
def test_case_17_values_come_back_exact(text: bytes):
    made = wire.event_from_pb(event("node_completed", node_id="a", output_json=text))
    back = wire.event_to_pb(stored(made)).node_completed.output_json
    assert json.loads(back) == json.loads(text)
    assert wire.event_to_pb(made).node_completed.output_json == text


@pytest.mark.parametrize("text", [b"NaN", b"{", b"'x'", b"\xff", b"1 2"])
def test_what_is_not_json_is_refused_and_named(text: bytes):
    with pytest.raises(InvalidEvent, match=r"NodeCompleted\.output_json"):
        wire.event_from_pb(event("node_completed", node_id="a", output_json=text))


def test_the_journal_speaks_the_words_of_the_contract():
    made = wire.event_from_pb(event("node_completed", node_id="a", attempt=1, output_json=b'{"x": 1}'))
    assert (made.type, made.payload) == ("node.completed", '{"node_id":"a","attempt":1,"output":{"x": 1}}')
    assert payload.TYPE_OF_FIELD["execution_maxiter_reached"] == "execution.maxiter"


def test_keys_of_a_newer_writer_are_ignored():
    old = Event(b"\0" * 16, "node.started", 1, {"node_id": "a", "moonphase": "full"}, "")
    assert wire.event_to_pb(old).node_started == ev.NodeStarted(node_id="a")


@pytest.mark.parametrize("inside", [False, True], ids=["event", "body"])
def test_what_a_later_release_says_is_refused_rather_than_kept_in_part(inside: bool):
    event = ev.Event(event_id="0" * 32, node_skipped=ev.NodeSkipped(node_id="a"))
    unknown = b"\xa0\x38\x01"  # field 900, a number
    (event.node_skipped if inside else event).MergeFromString(unknown)
    with pytest.raises(NewerEvent, match="later release than this store; upgrade the store"):
        wire.event_from_pb(event)


def test_an_event_of_a_later_release_in_the_database_is_handed_out_without_a_body():
    event = Event(bytes(16), "node.foretold", 0, {"node_id": "a"}, "{}", seq=7)
    shown = wire.event_to_pb(event)
    assert (shown.WhichOneof("body"), shown.seq) == (None, 7)
