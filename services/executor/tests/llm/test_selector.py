import pytest
from fakes import ADA, ScriptedLlm, context

from dipeo_executor.llm.selector import MOST, candidates, question, read_ids, select
from dipeo_executor.nodes.base import Message


def message(number, content, from_id="Ada"):
    return Message(f"m{number}", from_id, "system", content)


def test_near_repetitions_are_shown_once_and_make_the_first_weigh_more():
    talk = [
        message(0, "the river is cold and deep today"),
        message(1, "The river is cold and deep today"),
        message(2, "tea"),
    ]
    assert [it.id for it in candidates(talk)] == ["m0", "m2"]


def test_of_very_many_the_newest_and_the_oft_repeated_are_shown_in_their_order():
    talk = [message(n, f"thought number {n} about subject {n * 7} and place {n * 13}") for n in range(MOST + 50)]
    often = [message(1000 + n, talk[5].content) for n in range(6)]
    shown = [it.id for it in candidates([*talk, *often])]
    assert len(shown) == MOST and shown[-1] == f"m{MOST + 49}"
    assert shown[0] == "m5", "old, but said again and again"
    assert shown == sorted(shown, key=lambda name: int(name[1:]))


def test_the_question_has_a_line_per_message_the_task_and_the_criterion():
    text = question([message(1, "two\nlines " + "x" * 400)], ADA, "what was decided", 3, "Do it. " + "y" * 2000)
    line = next(line for line in text.splitlines() if line.startswith("[m1]"))
    assert line.startswith("[m1] Ada: two lines x") and len(line) < 270
    assert "what was decided" in text and "Choose at most 3" in text and "y" * 1300 not in text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('{"message_ids": ["a", "b"]}', {"a", "b"}),
        ('["a"]', {"a"}),
        ('I choose ["a", "b"], since', {"a", "b"}),
        ('```json\n["a"]\n```', {"a"}),
        ("none of them", set()),
        ('{"other": 1}', set()),
        ("null", set()),
    ],
)
def test_ids_are_read_from_whatever_a_model_answers(text, ids):
    assert read_ids(text) == ids


async def test_the_selected_come_in_the_order_of_the_conversation_and_the_newest_win(tmp_path):
    talk = [message(n, f"text {n} {n * 31}") for n in range(5)]
    llm = ScriptedLlm(['{"message_ids": ["m4", "m1", "m3", "zzz"]}'])
    chosen = await select(talk, ADA, "what matters", 2, "task", context(tmp_path, llm=llm))
    assert [it.id for it in chosen.messages] == ["m3", "m4"]
    assert chosen.usage.input == 3
