"""What a diagram offers to whoever calls it as a tool."""

from compiling import light, program_of

from dipeo_executor.offered import Interface, interface_of

GREETING = """version: light
metadata:
  description: Greets
  mcp: {expose: true, input_schema: {type: object}}
nodes:
  - {label: Start, type: start, trigger_mode: manual, custom_data: {name: world}, output_data_structure: {name: string}}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Done}
"""
LOOP = """version: light
nodes:
  - {label: Start, type: start, custom_data: {unseen: 1}}
  - {label: Work, type: code_job, language: python, code: result = 1}
  - {label: Again, type: condition, condition_type: custom, expression: default > 3}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Work}
  - {from: Work, to: Again}
  - {from: Again_condtrue, to: Done}
  - {from: Again_condfalse, to: Work}
"""


def offered(text: str) -> Interface:
    compiled = light(text)
    return interface_of(compiled, program_of(compiled))


def test_it_says_what_goes_in_and_what_it_is_made_of():
    it = offered(GREETING)
    assert (it.description, it.mcp) == ("Greets", {"expose": True, "input_schema": {"type": "object"}})
    assert (it.defaults, it.inputs) == ({"name": "world"}, {"name": "string"})
    assert (it.node_types, it.straight) == (("start", "endpoint"), True)


def test_a_loop_is_not_straight_and_data_of_a_start_that_is_not_triggered_is_no_default():
    it = offered(LOOP)
    assert not it.straight
    assert it.defaults == {}
    assert set(it.node_types) == {"start", "code_job", "condition", "endpoint"}
