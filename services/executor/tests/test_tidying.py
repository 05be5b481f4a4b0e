import json

import pytest

from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load
from dipeo_executor.tidying import NotTidied, tidy


def tidied(text, format="light"):
    report = Report()
    diagram, _ = load(text, flag=format, report=report)
    assert diagram is not None, report.found
    return tidy(text, diagram, format)


UNTIDY = """# what this is about
version: light
nodes:
- type: start   # begins
  label: Go
- type: code_job
  label: Do
  position:
    x: 1
    y: 2
  code: "result = 'a'"
# the arrows
connections:
- from: Go
  to: Do   # always
- from: Do
  to: Go_first
  content_type: object
"""
TIDY = """# what this is about
version: light
nodes:
  - type: start # begins
    label: Go
  - type: code_job
    label: Do
    position: {x: 1, y: 2}
    code: "result = 'a'"
# the arrows
connections:
  - from: Go
    to: Do # always
  - {from: Do, to: Go_first, content_type: object}
"""


def test_layout_changes_and_comments_stay():
    assert tidied(UNTIDY) == TIDY
    assert tidied(TIDY) == TIDY


def test_json_is_indented():
    text = json.dumps({"nodes": {"a": {"type": "start"}}, "arrows": {}})
    assert tidied(text, "native") == json.dumps(json.loads(text), indent=2) + "\n"


def test_readable_destinations_stand_in_one_line():
    text = "version: readable\nnodes:\n- A: {}\n- B [endpoint]: {}\nflow:\n- A:\n    to: B\n    naming: x\n"
    assert tidied(text, "readable").endswith("flow:\n  - A: {to: B, naming: x}\n")


def test_a_text_that_cannot_be_laid_out_is_left_alone():
    with pytest.raises(NotTidied, match="is left as it is"):
        tidied("nodes:\n- {label: Go, type: start, code: 1, code: 2}\n")
