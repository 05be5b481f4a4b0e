"""Texts and values in exported scripts are what they were in the diagram."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from dipeo_executor.export.literals import block, literal

AWKWARD = st.text(st.sampled_from("ab\"'\\\n\t\r {}€\u00a0\x1b"), max_size=12)


@given(AWKWARD | st.text())
def test_a_block_is_its_text(text):
    assert not (quoted := block(text)) or ast.literal_eval(quoted) == text


@given(AWKWARD | st.text())
def test_a_literal_is_its_value(text):
    assert ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(literal({"a": [text, (text,), 1.5, None, True]})) == {"a": [text, (text,), 1.5, None, True]}


def test_texts_of_several_lines_stand_as_they_are():
    assert block("one\n  two\n") == '"""\\\none\n  two\n"""'
    assert block('say """\nno') == "'''\\\nsay \"\"\"\nno'''"
    assert block("a\\b\nc") == 'r"""a\\b\nc"""'
    assert block("one line") == block("\x1b[0m\n") == ""
