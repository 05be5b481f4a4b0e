"""Overhead per node type over the bare work: chains of one type, durable step by step, in one run.

    .venv/bin/python benchmarks/nodes.py [--rounds 5]

`journal` is what a step costs when nothing but its two events is appended, through the same store and channel;
`bare` is the work itself (a worker round trip for code, nothing else). Overhead = per node - journal - bare.
Goals: python in a warm worker <= 2 ms; template_job and condition <= 0.3 ms on top of the journal.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from engine import finished_journal, median_us, stamp
from house import House, house

from dipeo_executor.nodes.base import CodeJob
from dipeo_executor.sandbox import Sandbox
from dipeo_kit import ids, process, rpc
from dipeo_protos.store.v1 import events_pb2, store_pb2

NODES = 50
TYPES = {
    "code_job python": "type: code_job, code: 'result = 1'",
    "code_job bash": "type: code_job, language: bash, code: 'echo 1'",
    "template_job": "type: template_job, template_content: 'hello {{ default }}'",
    "condition": "type: condition, expression: 'True'",
    "db read": "type: db, operation: read, format: text, file: files/note.txt",
    "db write": "type: db, operation: write, format: text, file: files/out.txt",
    "person_job (mock)": "type: person_job, person: P, default_prompt: '[[reply x]]', memorize_to: GOLDFISH",
    "json_schema_validator": "type: json_schema_validator, json_schema: {}",
    "sub_diagram": "type: sub_diagram, diagram_name: child",
}
CHILD = """version: light
nodes:
  - {label: s, type: start}
  - {label: e, type: endpoint}
connections:
  - {from: s, to: e}
"""


def chain(properties: str) -> str:
    handle = "[condtrue]" if "type: condition" in properties else ""
    lines = ["version: light", "persons:", "  P: {service: mock, model: m}", "nodes:", "  - {label: S, type: start}"]
    lines += [f"  - {{label: n{i}, {properties}}}" for i in range(NODES)]
    lines += ["connections:", "  - {from: S, to: n0}"]
    lines += [f"  - {{from: 'n{i}{handle}', to: n{i + 1}}}" for i in range(NODES - 1)]
    return "\n".join(lines)


async def per_node_us(home: House, text: str, nodes: int = NODES) -> float:
    submitted = await home.submit(text)
    assert submitted.execution_id, submitted.diagnostics
    events = await finished_journal(home, submitted.execution_id)
    return (stamp(events, "node_completed", -1) - stamp(events, "node_started", 1)) / nodes / 1e3


async def journal_us(home: House) -> float:
    """One append of a completion and the start it causes, durable, one at a time."""
    session = home.store.Session()
    await session.write(store_pb2.SessionRequest(open=store_pb2.OpenSession(executor="benchmark", version="0")))
    opened: Any = await session.read()
    create = store_pb2.CreateExecutionRequest(
        execution_id=ids.new_execution_id(), source=b"{}", session_id=opened.opened.session_id, origin="benchmark"
    )
    work = (await rpc.call(home.store.CreateExecution, create)).claim
    appends = home.store.Append()
    seq, run = work.head_seq, 0

    async def append(*bodies: Any) -> None:
        nonlocal seq
        events = [events_pb2.Event(event_id=ids.new_hex(), **body) for body in bodies]
        one = store_pb2.ExecutionAppend(
            execution_id=work.execution_id, fence=work.fence, expected_seq=seq, events=events
        )
        await appends.write(store_pb2.AppendRequest(appends=[one]))
        answer: Any = await appends.read()
        assert not answer.results[0].reason, answer
        seq = answer.results[0].head_seq

    def started(iteration: int) -> dict[str, Any]:
        body = events_pb2.NodeStarted(node_id="n", label="n", type="code_job", iteration=iteration, attempt=1)
        return {"node_started": body}

    async def step() -> None:
        nonlocal run
        run += 1
        body = events_pb2.NodeCompleted(node_id="n", iteration=run - 1, attempt=1, port="default", output_json=b"1")
        await append({"node_completed": body}, started(run))

    await append({"execution_started": events_pb2.ExecutionStarted()}, started(0))
    taken = await median_us(200, step)
    await append({"execution_completed": events_pb2.ExecutionCompleted()})
    session.cancel()
    appends.cancel()
    return taken


async def worker_us(folder: Path, language: str) -> float:
    async with Sandbox(folder) as sandbox:
        workers = sandbox.workers("exec_" + "0" * 32)
        python = language == "python"
        job = CodeJob("result = 1" if python else "echo 1", "code", "", {}, {}, "n", 30.0)
        call = workers.run_python if python else workers.run_bash
        await call(job)
        taken = await median_us(100, lambda: call(job))
        await workers.close()
        return taken


async def batch_ms(home: House, items: int) -> float:
    """Milliseconds per item of one batch sub-diagram (two nodes an item, ten at a time)."""
    text = (
        "version: light\nnodes:\n  - {label: S, type: start}\n"
        f"  - {{label: A, type: code_job, code: 'result = list(range({items}))'}}\n"
        "  - {label: K, type: sub_diagram, diagram_name: child, batch: true}\n"
        "connections:\n  - {from: S, to: A}\n  - {from: A, to: K, label: items}\n"
    )
    began = time.perf_counter()
    submitted = await home.submit(text)
    await finished_journal(home, submitted.execution_id)
    return (time.perf_counter() - began) / items * 1e3


async def main(rounds: int) -> None:
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        (folder / "files" / "note.txt").write_text("note")
        (folder / "child.light.yaml").write_text(CHILD)
        async with house(folder, inprocess=True) as home:
            process.settle_heap()  # as every service does once it has started
            for _ in range(rounds):
                figures.setdefault("journal", []).append(await journal_us(home))
                for language in ("python", "bash"):
                    figures.setdefault(f"bare {language}", []).append(await worker_us(folder, language))
                for kind, properties in TYPES.items():
                    figures.setdefault(kind, []).append(await per_node_us(home, chain(properties)))
            batch = await batch_ms(home, 1_000)
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print(f"µs, median of {rounds} rounds; chains of {NODES}")
    for name, value in middle.items():
        bare = next((middle[key] for key in middle if key.startswith("bare") and name.endswith(key.split()[1])), 0.0)
        over = (
            "" if name == "journal" or name.startswith("bare") else f"overhead {value - middle['journal'] - bare:7.0f}"
        )
        print(f"  {name:24} {value:8.0f}   {over}")
    print(f"  a batch of 1,000 sub-diagrams: {batch:.2f} ms per item")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
