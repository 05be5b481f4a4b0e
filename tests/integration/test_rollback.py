"""An executor and a store that are older than what wrote a journal: the run waits for a newer one, and then goes on."""

import sqlite3
from pathlib import Path

import pytest
from cluster import Cluster, cluster
from command import wait_for

DIAGRAM = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Go, type: user_response, prompt: Go on?}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Go}
  - {from: Go, to: Done}
"""
FORETELL = """
INSERT INTO transitions (execution, seq, event_id, type, fence, at, payload)
SELECT execution, seq + 1, randomblob(16), 'node.foretold', fence, at, '{}' FROM transitions ORDER BY seq DESC LIMIT 1;
UPDATE executions SET head_seq = head_seq + 1;
"""
UNDERSTAND = """
UPDATE transitions SET type = 'execution.log', payload = '{"message": "x"}' WHERE type = 'node.foretold';
"""


def edited(house: Cluster, script: str) -> None:
    """Both services stopped, the journal changed, both started."""
    [executor] = house.executors
    executor.stop()
    house.store.stop()
    with sqlite3.connect(house.project.base / "state.db") as database:
        database.executescript(script)
    database.close()
    house.store.start()
    executor.start()


@pytest.mark.nightly
def test_a_run_whose_journal_a_later_release_wrote_waits_and_is_not_failed(tmp_path: Path):
    with cluster(tmp_path, executors=1) as house:
        house.project.write("ask.light.yaml", DIAGRAM)
        execution_id = house.project.background("ask.light.yaml")
        wait_for(lambda: house.project.results(execution_id).get("pending_prompts"), "the question")

        edited(house, FORETELL)
        lost = wait_for(lambda: [it for it in house.executors[0].lines() if it["event"] == "run.lost"], "the refusal")
        assert lost[0]["reason"] == "OLDER_RELEASE" and "upgrade the executor" in str(lost[0]["error"])
        assert house.project.results(execution_id)["status"] == "running"
        assert house.project.events(execution_id)[-1]["seq"] > 1  # read by the gateway all the same

        edited(house, UNDERSTAND)  # the executor of the later release
        house.project("answer", execution_id, "Go", "yes", check=0)
        wait_for(lambda: house.project.results(execution_id)["status"] == "completed", "the run to end")
