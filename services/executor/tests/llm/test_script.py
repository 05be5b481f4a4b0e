"""The script of the mock: which rule answers, and what is no script."""

from dataclasses import replace

import pytest

from dipeo_executor.llm import mock, script
from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import RateLimited, ServiceDown
from dipeo_executor.llm.script import Place
from dipeo_executor.program import Person
from dipeo_kit.errors import BadInput

ADA = Person("p1", "Ada", "mock", "m", "default")
HERE = Place("node_1", "Draft", 1, 1)


def call(text: str = "about tea", **more) -> Call:
    return Call(ADA, [{"role": "user", "content": "before"}, {"role": "user", "content": text}], **more)


async def said(rules, asked: Call | None = None, place: Place = HERE) -> str:
    asked = asked or call()
    return (await mock.answer(replace(asked, scripted=script.read(rules).answer(asked, place)))).text


@pytest.mark.parametrize(
    "fitting",
    [
        {"person": "Ada"}, {"person": "p1"}, {"node": "Draft"}, {"node": "node_1"}, {"contains": "tea"}, {"run": 1},
        {"attempt": 1}, {"purpose": "answer"}, {"person": "Ada", "node": "Draft", "contains": "about", "run": 1},
    ],
)  # fmt: skip
async def test_the_first_rule_that_fits_answers(fitting):
    assert await said([{**fitting, "reply": "yes"}, {"reply": "later"}]) == "yes"


@pytest.mark.parametrize(
    "other",
    [
        {"person": "Ben"}, {"node": "Other"}, {"contains": "before"}, {"run": 2}, {"attempt": 2}, {"purpose": "retry"},
        {"person": "Ada", "contains": "coffee"},
    ],
)  # fmt: skip
async def test_a_rule_of_which_one_condition_does_not_hold_is_passed_over(other):
    assert await said([{**other, "reply": "no"}, {"reply": "later"}]) == "later"
    assert await said([{**other, "reply": "no"}]) == "echo: about tea", "the mock's own rules come last"


async def test_replies_go_by_the_run_of_the_node_and_the_last_one_stays():
    rules = [{"node": "Draft", "replies": ["one", {"two": 2}]}]
    assert [await said(rules, place=replace(HERE, run=n)) for n in (1, 2, 3)] == ["one", '{"two": 2}', '{"two": 2}']


async def test_selectors_keep_all_unless_a_rule_is_for_them():
    asked = call("[m1] system: hi\n[m2] Ada: ho", purpose="memory_selection")
    assert await said([{"reply": "hello"}], asked) == '{"message_ids": ["m1", "m2"]}'
    assert await said([{"purpose": "memory_selection", "reply": ["m2"]}], asked) == '["m2"]'


async def test_a_rule_may_fail_and_break_off():
    with pytest.raises(RateLimited, match="mock answered 429"):
        await said([{"status": 429, "attempt": 1}])
    assert await said([{"status": 429, "attempt": 1}, {"reply": "ok"}], place=replace(HERE, attempt=2)) == "ok"
    with pytest.raises(ServiceDown, match="broke off"):
        await said([{"reply": "one two three four", "break": True}])


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"reply": "x"}, "must be a list of rules"),
        (["x"], "rule 1: input should be"),
        ([{"reply": "x"}, {"answer": "x"}], "rule 2 answer: extra inputs are not permitted"),
        ([{"node": "A"}], "rule 1: give one of reply, replies, status"),
        ([{"reply": "x", "status": 429}], "rule 1: give one of"),
        ([{"status": 200}], "rule 1 status: .*greater than or equal to 400"),
        ([{"replies": []}], "rule 1 replies: "),
        ([{"reply": "x", "run": 0}], "rule 1 run: "),
    ],
)
def test_what_is_no_rule_is_named(rules, words):
    with pytest.raises(BadInput, match=words):
        script.read(rules)
