"""Code on a Dask cluster: the same results, errors and cancellation as here, and a lost worker changes nothing."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from command import alive, wait_for
from dask_cluster import DaskCluster, dask_cluster
from house import House, house
from lightly import light

from dipeo_executor.main import running
from dipeo_executor.settings import Settings
from dipeo_kit.errors import BadInput, Unavailable

WIDE = 8


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    (tmp_path / "dask").mkdir()
    with dask_cluster(tmp_path / "dask", tmp_path, workers=2) as started:
        yield started


@pytest.fixture
async def home(tmp_path: Path, cluster: DaskCluster) -> AsyncIterator[House]:
    async with house(tmp_path, compute=cluster.address) as running:
        yield running


def fan_out(code: str) -> str:
    """A start, WIDE code jobs beside each other, and an endpoint for each."""
    nodes = ["- {label: S, type: start}"]
    nodes += [f'- {{label: J{n}, type: code_job, code: "{code.format(n=n)}"}}' for n in range(WIDE)]
    nodes += ["- {label: E, type: endpoint}"]
    arrows = [f"- {{from: S, to: J{n}}}" for n in range(WIDE)]
    arrows += [f"- {{from: J{n}, to: E, label: j{n}}}" for n in range(WIDE)]
    return light("\n".join(nodes), "\n".join(arrows))


async def test_code_runs_in_processes_of_the_cluster_and_gives_what_it_gives_here(home: House, cluster: DaskCluster):
    done = await home.run(fan_out("import os; print('told'); result = [{n}, os.getppid()]"))
    assert done.status == "completed"
    parents = {done.output(f"J{n}")[1] for n in range(WIDE)}
    assert [done.output(f"J{n}")[0] for n in range(WIDE)] == list(range(WIDE))
    assert len(parents) == 2 and os.getpid() not in parents  # a fork server per worker of the cluster


async def test_what_user_code_raises_arrives_as_it_does_here(home: House):
    done = await home.run(fan_out("raise KeyError('k{n}')"))
    assert done.status == "failed"
    failed = next(event.node_failed for event in done.events if event.HasField("node_failed"))
    assert failed.error.type == "KeyError" and "'k" in failed.error.message


async def test_a_worker_that_is_killed_mid_batch_changes_nothing_in_the_result(home: House, cluster: DaskCluster):
    code = "import os, time; open('begun', 'a').write('x'); time.sleep(1); result = {n} * {n}"
    submitted = await home.submit(fan_out(code))
    await written(home.base / "begun")
    cluster.workers[0].kill()
    done = await home.follow(submitted.execution_id)
    assert done.status == "completed"
    assert [done.output(f"J{n}") for n in range(WIDE)] == [n * n for n in range(WIDE)]


async def test_the_items_of_a_batch_spread_over_the_workers_and_a_killed_one_changes_nothing(
    home: House, cluster: DaskCluster
):
    item = """
        - {label: s, type: start}
        - label: c
          type: code_job
          code: |
            import os, time
            open(f"by{os.getppid()}", "a").write("x")
            time.sleep(0.5)
            result = default["default"] ** 2
        - {label: e, type: endpoint}
        """
    (home.base / "item.light.yaml").write_text(light(item, "- {from: s, to: c}\n- {from: c, to: e}"))
    batch = f"""
        - {{label: S, type: start}}
        - {{label: A, type: code_job, code: "result = list(range({WIDE}))"}}
        - {{label: K, type: sub_diagram, diagram_name: item, batch: true, max_concurrent: {WIDE}}}
        - {{label: E, type: endpoint}}
        """
    text = light(batch, "- {from: S, to: A}\n- {from: A, to: K, label: items}\n- {from: K, to: E}")
    submitted = await home.submit(text)
    await asyncio.to_thread(wait_for, lambda: len(list(home.base.glob("by*"))) == 2, "both workers to have an item")
    cluster.workers[1].kill()
    done = await home.follow(submitted.execution_id)
    assert done.status == "completed", done.execution.error
    assert [one["output"]["default"] for one in done.result] == [n * n for n in range(WIDE)]


async def test_an_abort_kills_the_code_that_runs_on_the_cluster(home: House):
    code = "import os, time; open('pids', 'a').write(str(os.getpid()) + ' '); time.sleep(600)"
    submitted = await home.submit(fan_out(code))
    await written(home.base / "pids")
    await home.abort(submitted.execution_id)
    done = await home.follow(submitted.execution_id)
    assert done.status == "aborted"
    pids = [int(word) for word in (home.base / "pids").read_text().split()]
    await asyncio.to_thread(wait_for, lambda: not any(alive(pid) for pid in pids), "the code to be gone")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("dask://127.0.0.1:1", Unavailable, "no Dask scheduler answers"),
        ("ray://x", BadInput, "is not dask://host:port"),
    ],
)
async def test_a_cluster_that_is_not_there_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, error: type[Exception], said: str
):
    monkeypatch.setattr("dipeo_executor.compute.CONNECT_S", 0.5)
    settings = Settings(listen=f"unix:{tmp_path}/e", store=f"unix:{tmp_path}/s", base_dir=tmp_path, compute=address)
    with pytest.raises(error, match=said):
        async with running(settings):
            raise AssertionError("it started")


async def written(path: Path) -> None:
    await asyncio.to_thread(wait_for, path.exists, path.name)
