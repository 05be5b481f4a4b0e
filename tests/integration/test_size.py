"""Long loops and wide fans finish; in a loop memory stays flat."""

import asyncio
from pathlib import Path

import pytest
from house import House
from lightly import light


def resident_mb() -> float:
    """Of this process: store, executor and test together."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def looped(home: House, rounds: int, every: int) -> list[float]:
    """Run a loop of one code job and its condition; resident MB about every `every` rounds."""
    text = light(
        f"""
        - {{label: S, type: start}}
        - {{label: B, type: code_job, code: "result = 1"}}
        - {{label: C, type: condition, expression: "i >= {rounds - 1}", expose_index_as: i}}
        - {{label: E, type: endpoint}}
        """,
        "- {from: S, to: B}\n- {from: B, to: C}\n- {from: 'C[condfalse]', to: B}\n- {from: 'C[condtrue]', to: E}",
    )
    submitted = await home.submit(text, max_node_runs=rounds + 1)
    curve: list[float] = []
    seen = 0
    async for event in home.watch(submitted.execution_id):
        if event.HasField("node_completed") and event.node_completed.node_id == "node_1":
            seen += 1
            if seen % every == 0:
                curve.append(resident_mb())
    done = await home.follow(submitted.execution_id)
    assert done.status == "completed", done.execution.error
    assert seen == rounds
    return curve


def check_flat(curve: list[float]) -> None:
    print("resident MB:", " ".join(f"{mb:.0f}" for mb in curve))
    half = len(curve) // 2
    assert max(curve[half:]) < max(curve[:half]) * 1.15, curve


async def test_memory_stays_flat_in_a_loop(home: House):
    check_flat(await looped(home, 1_000, 50))


@pytest.mark.nightly
async def test_ten_thousand_rounds_finish_in_flat_memory(home: House):
    check_flat(await looped(home, 10_000, 250))


async def test_a_fan_of_a_thousand_nodes_finishes(home: House):
    width = 1_000
    nodes = "\n".join(f'- {{label: n{i}, type: code_job, code: "result = {i}"}}' for i in range(width))
    fan = "\n".join(f"- {{from: S, to: n{i}}}\n- {{from: n{i}, to: J, label: k{i}}}" for i in range(width))
    text = light(
        f"- {{label: S, type: start}}\n{nodes}\n- {{label: J, type: code_job, code: 'result = sum(inputs.values())'}}",
        fan,
    )
    done = await asyncio.wait_for(home.run(text), 60)
    assert done.status == "completed", done.execution.error
    assert done.output("J") == sum(range(width)) and len(done.labels) == width + 2
