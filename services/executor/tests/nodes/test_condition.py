import pytest
from fakes import ADA, ScriptedLlm, context, run, shared_table

from dipeo_executor.nodes import condition
from dipeo_executor.nodes.base import NodeCount, NodeError, Usage
from dipeo_executor.program import Node

INPUT = {"default": {"n": 5, "l": [1, 2]}}


def custom(expression, **more):
    return {"condition_type": "custom", "expression": expression, **more}


@pytest.mark.parametrize(
    ("expression", "inputs", "variables", "port"),
    [
        pytest.param("default.n > 3 and len(default.l) == 2", INPUT, {}, "condtrue", id="COND-1"),
        pytest.param("n > 3", INPUT, {}, "condtrue", id="COND-2"),
        pytest.param("default.n + 1 > 3", INPUT, {}, "condtrue", id="COND-3"),
        pytest.param("v > 1", {}, {"v": 2}, "condtrue", id="COND-4"),
        pytest.param("default > 3", {"default": 5}, {}, "condtrue", id="COND-4b"),
        pytest.param("n > 3", {"default": {"default": INPUT["default"]}}, {}, "condtrue", id="under-two-levels"),
        pytest.param("n > 9", INPUT, {"n": 10}, "condfalse", id="inputs-are-nearer-than-variables"),
        pytest.param("missing > 1", INPUT, {}, "condfalse", id="null-is-not-greater"),
    ],
)
async def test_custom(tmp_path, expression, inputs, variables, port):
    out = await run(condition, custom(expression), inputs, context(tmp_path, variables=variables))
    assert out.port == port
    assert out.value == inputs
    assert out.meta == {"result": port == "condtrue", "condition_type": "custom"}


async def test_custom_data_is_the_last_scope(tmp_path):
    ctx = context(tmp_path, custom_data={"n": 0, "c": 7})
    assert (await run(condition, custom("n == 5 and c == 7"), INPUT, ctx)).port == "condtrue"


@pytest.mark.parametrize("expression", ["default.n > 'x'", "len(missing) == 0", "", "n ="])
async def test_an_expression_that_fails_fails_the_node(tmp_path, expression):
    with pytest.raises(NodeError):
        await run(condition, custom(expression), INPUT, context(tmp_path))


@pytest.mark.parametrize(("started", "port"), [(1, "condfalse"), (2, "condfalse"), (3, "condtrue")])
async def test_cond_5_the_index_counts_this_nodes_runs_and_the_expression_sees_it(tmp_path, started, port):
    counts = [NodeCount("n1", "N", "condition", started, started - 1, None)]
    out = await run(condition, custom("i >= 2", expose_index_as="i"), INPUT, context(tmp_path, counts=counts))
    assert out.port == port
    assert out.variables == {"i": started - 1}
    assert out.value == INPUT


async def test_the_index_goes_into_the_value_of_the_other_kinds(tmp_path):
    counts = [NodeCount("n1", "N", "condition", 2, 1, None), NodeCount("a", "A", "code_job", 1, 1, None)]
    props = {"condition_type": "check_nodes_executed", "node_indices": ["a"], "expose_index_as": "i"}
    out = await run(condition, props, INPUT, context(tmp_path, counts=counts))
    assert out.value == {**INPUT, "i": 1}


def person(name, started, limit, completed=None):
    return NodeCount(name, name.upper(), "person_job", started, started if completed is None else completed, limit)


@pytest.mark.parametrize(
    ("counts", "nodes", "port"),
    [
        ([person("a", 2, 2)], [], "condtrue"),
        ([person("a", 1, 2)], [], "condfalse"),
        ([], [], "condfalse"),
        ([person("a", 0, 2)], [], "condfalse"),
        ([person("a", 2, 2), person("b", 1, 2)], [], "condfalse"),
        ([person("a", 2, 2), person("b", 1, 2)], ["A"], "condtrue"),
        pytest.param([person("p", 0, 5), person("a", 2, 2)], [], "condtrue", id="case-15"),
    ],
)
async def test_cond_6_detect_max_iterations(tmp_path, counts, nodes, port):
    props = {"condition_type": "detect_max_iterations", "node_indices": nodes}
    assert (await run(condition, props, INPUT, context(tmp_path, counts=counts))).port == port


async def test_check_nodes_executed_takes_ids_and_labels(tmp_path):
    counts = [person("a", 1, 9), person("b", 1, 9, completed=0)]
    for nodes, port in ((["a"], "condtrue"), (["A"], "condtrue"), (["a", "b"], "condfalse")):
        props = {"condition_type": "check_nodes_executed", "node_indices": nodes}
        assert (await run(condition, props, INPUT, context(tmp_path, counts=counts))).port == port


@pytest.mark.parametrize(("nodes", "words"), [([], "needs node_indices"), (["zz"], "zz, which is no node")])
async def test_nodes_that_are_not_there_are_an_error(tmp_path, nodes, words):
    props = {"condition_type": "check_nodes_executed", "node_indices": nodes}
    with pytest.raises(NodeError, match=words):
        await run(condition, props, INPUT, context(tmp_path, counts=[person("a", 1, 1)]))


def judge(**more):
    return {
        "condition_type": "llm_decision",
        "person": "Ada",
        "judge_by": "Is {{topic}} in {{default.n}} fine?",
        **more,
    }


@pytest.mark.parametrize(
    ("answer", "port"), [("YES", "condtrue"), ('{"decision": false}', "condfalse"), ("maybe", "condfalse")]
)
async def test_cond_7_llm_decision(tmp_path, answer, port):
    llm = ScriptedLlm([answer])
    ctx = context(tmp_path, llm=llm, variables={"topic": "tea"})
    out = await run(condition, judge(), INPUT, ctx)
    assert out.port == port
    assert (out.usage, out.model, out.messages) == (Usage(3, 2, 1), ADA.model, ())
    (call,) = llm.calls
    assert call["purpose"] == "decision" and call["temperature"] == 0
    (message,) = call["messages"]
    assert message["role"] == "user"
    assert message["content"].startswith("Is tea in 5 fine?")
    assert '"l": [' in message["content"]


async def test_case_32_a_failing_model_fails_the_node(tmp_path):
    with pytest.raises(NodeError, match="boom"):
        await run(condition, judge(), INPUT, context(tmp_path, llm=ScriptedLlm([NodeError("boom")])))


@pytest.mark.parametrize("props", [judge(person=""), judge(judge_by=""), judge(person="Zoe")])
async def test_a_decision_without_person_or_question_is_an_error(tmp_path, props):
    with pytest.raises(NodeError):
        await run(condition, props, INPUT, context(tmp_path))


async def test_the_captured_file_is_asked_when_there_is_no_inline_question(tmp_path):
    llm = ScriptedLlm(["no"])
    await run(condition, judge(judge_by="", resolved_judge_by="from file"), {}, context(tmp_path, llm=llm))
    assert llm.calls[0]["messages"] == [{"role": "user", "content": "from file"}]


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("YES", True),
        ("**YES**", True),
        ("no", False),
        ("It is true but no", False),
        ('{"decision": false}', False),
        ("unknown", False),
    ],
)
def test_case_34_decisions(text, decision):
    assert condition.read_decision(text) is decision


# whole words instead of parts of words, and text decisions read as text
CHANGED = {'{"decision": "no"}', "nothing is wrong, yes", "yesterday"}


def test_recorded_decisions_are_read_alike():
    for row in shared_table("decisions.json"):
        assert row["in"] in CHANGED or condition.read_decision(row["in"]) is row["out"], row


def test_decisions_match_whole_words():
    assert not condition.read_decision("yesterday")
    assert not condition.read_decision("not sure")
    assert not condition.read_decision('{"decision": "false"}')
    assert condition.read_decision("Nothing wrong, passes")


async def test_the_index_falls_back_to_the_iteration_when_the_node_is_not_counted(tmp_path):
    ctx = context(tmp_path, iteration=4, node=Node("other", "condition", "", None))
    assert (await run(condition, custom("i == 4", expose_index_as="i"), {}, ctx)).port == "condtrue"
