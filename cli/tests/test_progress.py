import re
from typing import Any

from dipeo_cli import live, progress


def node(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "execution_id": "exec_1", "node_id": "n1", "node_name": "Fetch data", "seq": 1} | fields


def described(event: dict[str, Any]) -> str:
    return re.sub(r"^\d\d:\d\d:\d\d ", "", progress.describe(event))


def test_lifecycle_events_are_sentences() -> None:
    assert described(node("NODE_STARTED")) == 'node "Fetch data" started'
    assert described(node("NODE_COMPLETED", status="COMPLETED", data={"duration_ms": 1400})) == (
        'node "Fetch data" completed in 1.4s'
    )
    assert described(node("NODE_ERROR", status="FAILED", error="boom")) == 'node "Fetch data" failed: boom'
    assert described(node("EXECUTION_ERROR", data={"status": "failed"})) == "run failed"


def test_events_without_news_for_people_are_silent() -> None:
    assert progress.describe(node("EXECUTION_LOG", data={"event": "message.appended", "content": "x"})) == ""
    assert progress.describe(node("EXECUTION_LOG", data={"event": "execution.log", "level": "debug"})) == ""


def test_iterations_fold_into_one_row() -> None:
    rows: dict[str, live.Row] = {}
    for now, event in enumerate([node("NODE_STARTED"), node("NODE_COMPLETED"), node("NODE_STARTED")]):
        live.update(rows, event, float(now))
    assert (rows["n1"].runs, rows["n1"].status, rows["n1"].seconds(4.0)) == (2, "running", 3.0)
    live.update(rows, node("INTERACTIVE_PROMPT"), 5.0)
    assert rows["n1"].status == "waiting"
    live.update(rows, node("NODE_ERROR", error="boom\ntrace"), 6.0)
    assert (rows["n1"].status, rows["n1"].note) == ("failed", "boom")


def test_what_a_model_is_saying_stands_beside_its_node() -> None:
    rows: dict[str, live.Row] = {}
    said = node("NODE_OUTPUT", data={"output": "Once upon a time there was\n a poem about a river", "is_partial": True})
    for event in (node("NODE_STARTED"), said):
        live.update(rows, event, 1.0)
    assert rows["n1"].note == '"…a time there was a poem about a river"'
    assert progress.describe(said) == ""
    live.update(rows, node("NODE_COMPLETED"), 2.0)
    assert rows["n1"].note == ""
