"""kill -9 of the stack while a model is being asked: the call is attempt 2 afterwards, what was said before it is
there once (issue: persons)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import modelservers as wire
import pytest
from command import Project, chain, wait_for
from modelservers import Answer, Seen, serving_in_a_thread

ASK = "{label: %s, type: person_job, person: Ada, default_prompt: ask %s}"
PERSONS = "persons:\n  Ada: {service: openai, model: gpt-4o-mini, system_prompt: You are Ada.}\n"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.stop()


def test_a_model_call_survives_kill_9_as_attempt_2_with_the_conversation_intact(project: Project):
    slow = threading.Event()
    slow.set()

    def answer(seen: Seen) -> Answer:
        asked = seen.body["input"][-1]["content"]
        delay_s = 60.0 if asked == "ask B" and slow.is_set() else 0.0
        return wire.responses_stream(f"to {asked}", delay_s=delay_s)

    with serving_in_a_thread(answer) as server:
        project.environment |= {"OPENAI_API_KEY": "sk-test-0123456789", "OPENAI_BASE_URL": f"{server.url}/v1"}
        diagram = project.write("ab.light.yaml", chain(ASK % ("A", "A"), ASK % ("B", "B")) + PERSONS)
        execution_id = str(project.json("run", diagram, "--background")["session_id"])
        wait_for(lambda: len(server.seen) == 2, "the second call", 60)
        before = project.events(execution_id)
        project.kill_stack()
        slow.clear()
        project("up", check=0)
        wait_for(lambda: project.results(execution_id)["status"] == "completed", "the run to end", 60)
        requests = [[(it["role"], it["content"]) for it in seen.body["input"]] for seen in server.seen]
    conversation = [("system", "You are Ada."), ("user", "ask A"), ("assistant", "to ask A"), ("user", "ask B")]
    assert requests == [[*conversation[:2]], conversation, conversation], "the same question, asked again"
    events = project.events(execution_id)
    assert events[: len(before)] == before
    again = [event["data"] for event in events if (event["data"] or {}).get("event") == "node.retrying"]
    assert [(it["node_name"], it["attempt"], it["reason"]) for it in again] == [("B", 2, "executor_lost")]
    said = [event["data"] for event in events if (event["data"] or {}).get("event") == "message.appended"]
    assert [it["content"] for it in said] == ["ask A", "to ask A", "ask B", "to ask B"]
    assert len({it["message_id"] for it in said}) == 4
    assert project.results(execution_id)["final_output"] == "to ask B"
