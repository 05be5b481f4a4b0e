"""Kill or freeze a process a second, Postgres included: nothing is lost and nothing done twice (torture.py)."""

from collections import Counter
from pathlib import Path

import pytest
from torture import repeated, torture

from dipeo_store.model import Event

SECONDS = 30


async def test_half_a_minute_of_blows(tmp_path: Path):
    assert await torture(tmp_path, SECONDS, seed=1) == []


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
async def test_five_minutes_of_blows(tmp_path: Path, seed: int):
    assert await torture(tmp_path, 300, seed) == []


def test_what_ran_twice_would_be_noticed():
    def happened(seq: int, type_: str) -> Event:
        return Event(b"", type_, 0, {"node_id": "a"}, "", seq)

    well = [happened(2, "node.started"), happened(3, "node.retrying"), happened(4, "node.completed")]
    assert list(repeated("exec_1", well, Counter({"exec_1:a:0": 2}))) == []
    assert ["ran 3 times" in each for each in repeated("exec_1", well, Counter({"exec_1:a:0": 3}))] == [True]
    again = [*well, happened(5, "node.started")]
    assert ["began again at 5" in each for each in repeated("exec_1", again, Counter())] == [True]
