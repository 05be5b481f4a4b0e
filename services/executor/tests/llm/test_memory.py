import pytest
from fakes import ADA, BEN, shared_table

from dipeo_executor.llm.memory import is_rule, select
from dipeo_executor.llm.persons import chat, find, service_name
from dipeo_executor.nodes.base import Message, NodeError

TALK = tuple(
    Message(f"m{number}", from_id, to_id, f"text {number}")
    for number, (from_id, to_id) in enumerate(
        [("system", "Ada"), ("Ada", "system"), ("system", "Ben"), ("Ben", "system"), ("Ben", "Ada")]
    )
)


def kept(words="", at_most=None, ignore=""):
    return [message.id for message in select(TALK, "Ada", words, at_most, ignore)]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", ["m0", "m1", "m2", "m3", "m4"]),
        ("ALL_MESSAGES", ["m0", "m1", "m2", "m3", "m4"]),
        ("ALL_INVOLVED", ["m0", "m1", "m4"]),
        ("conversation_pairs", ["m0", "m1", "m4"]),
        ("SYSTEM_AND_ME", ["m0", "m1", "m2"]),
        ("SENT_BY_ME", ["m1"]),
        ("SENT_TO_ME", ["m0", "m4"]),
        (" Goldfish ", []),
    ],
)
def test_words_are_fixed_rules(words, ids):
    assert kept(words) == ids
    assert is_rule(words)


def test_free_text_is_no_rule_and_leaves_everything_to_judge():
    assert not is_rule("what was decided")
    assert kept("what was decided") == kept()


def test_the_newest_win_and_ignored_persons_go_first():
    assert kept(at_most=2) == ["m3", "m4"]
    assert kept(at_most=2, ignore="Ben") == ["m0", "m1"], "what Ben was told goes too"
    assert kept(ignore="Ben, system") == ["m1"]
    assert kept(at_most=0) == kept()


def test_recorded_filters_keep_the_same_messages_but_for_what_ignored_persons_were_told():
    for row in shared_table("memory_filter.json"):
        given = row["in"]
        if any("__selector" in name for entry in given["messages"] for name in entry[:2]):
            continue  # the original's selector spoke under a name of its own; ours is no person
        messages = [Message(f"m{n}", *entry) for n, entry in enumerate(given["messages"])]
        selection = select(messages, "Ada", "", None, given.get("ignore", ""))
        ignored = [name.strip() for name in given.get("ignore", "").split(",")]
        told = {message.id for message in messages if message.to_id in ignored and message.to_id != "system"}
        assert [message.id for message in selection] == [it for it in row["out"]["kept"] if it not in told]


def test_what_others_said_is_a_users_words_and_empty_messages_are_left_out():
    history = [*TALK[:2], Message("e", "Ben", "system", ""), TALK[4]]
    assert [(turn["role"], turn["content"]) for turn in chat(ADA, history, "now")] == [
        ("system", "You are Ada."),
        ("user", "text 0"),
        ("assistant", "text 1"),
        ("user", "text 4"),
        ("user", "now"),
    ]


def test_persons_are_found_by_id_then_by_label():
    persons = {"p1": BEN}
    assert find(persons, "p1") is find(persons, "Ben") is BEN
    with pytest.raises(NodeError, match='"Zoe" in the diagram; its persons: p1'):
        find(persons, "Zoe")


def test_recorded_service_names_are_folded_alike():
    for row in shared_table("service_names.json"):
        assert service_name(row["in"]) == row["out"]
