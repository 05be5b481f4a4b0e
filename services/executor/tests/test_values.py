import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo_executor.values import MAX_BYTES, ValueNotJson, ValueTooLarge, decode, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_goes_in_comes_out(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize("value", [0, 2**63, 2**64, -(2**64), 10**400, 0.1, 1e300, True, None, "ž", ""])
def test_scalars_keep_their_type_and_every_digit(value):
    again = decode(encode(value))
    assert again == value and type(again) is type(value)


def test_a_tuple_becomes_a_list():
    assert decode(encode({"a": (1, (2, "x"))})) == {"a": [1, [2, "x"]]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"rows": [{"when": datetime.date(2025, 1, 2)}]}, "value.rows[0].when is of type date"),
        ([1, {2}], "value[1] is of type set"),
        (b"x", "value is of type bytes"),
        ({"a": {1: 2}}, "value.a has the key 1 of type int"),
        ([float("nan")], "value[0] is nan"),
        (float("inf"), "value is inf"),
        ({"a": object()}, "value.a is of type object"),
        ("\ud800", "not Unicode"),
        (10**5000, "too long"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else "value",
)
def test_what_json_cannot_hold_is_named_with_its_path(value, words):
    with pytest.raises(ValueNotJson) as caught:
        encode(value)
    assert words in str(caught.value)


def test_a_value_that_contains_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueNotJson, match="nested deeper"):
        encode(loop)


def test_a_value_above_the_limit_is_refused_with_its_size():
    assert len(encode("x" * (MAX_BYTES - 2))) == MAX_BYTES
    with pytest.raises(ValueTooLarge, match="8,388,609 bytes"):
        encode("x" * (MAX_BYTES - 1))


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b"[1234567890123456789012, NaN]", json.dumps("x").encode()[:-1]])
def test_bytes_that_are_not_json_are_refused(data):
    with pytest.raises(ValueNotJson):
        decode(data)
