"""Recordings of the original, run through the real executor and store; expectations.py says what they should give.

Only where DIPEO_TEST_SHARED names the folder that holds cases/.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance.expectations import CASES, NOT_YET, Expect
from house import Finished, House, house
from webserver import serving

from dipeo_protos.diagram.v1 import diagram_pb2

SHARED = os.environ.get("DIPEO_TEST_SHARED", "")
FAILED = 3  # NodeRunStatus
RECORDED_WEB = "http://127.0.0.1:28480"

pytestmark = pytest.mark.skipif(not SHARED, reason="DIPEO_TEST_SHARED does not name the folder of the recordings")


def folder(name: str) -> Path:
    return Path(SHARED) / "cases" / name


def read(name: str, file: str) -> Any:
    return json.loads((folder(name) / file).read_text())


def test_every_recording_has_an_expectation():
    found = {path.name for path in folder("").iterdir() if path.is_dir()} - {"units"}
    assert found == CASES.keys() | NOT_YET.keys()


@pytest.mark.parametrize("name", NOT_YET)
def test_case_not_yet(name: str):
    pytest.skip(NOT_YET[name])


@pytest.mark.parametrize("name", CASES)
async def test_case(name: str, tmp_path: Path):
    expect, case = CASES[name], read(name, "input.json")
    (tmp_path / "files").mkdir()  # every project of the original had it
    if (folder(name) / "base").is_dir():
        shutil.copytree(folder(name) / "base", tmp_path, dirs_exist_ok=True)
    how: dict[str, Any] = {"variables": case.get("input_data"), "path": case["diagram"], **expect.how}
    async with serving() as web, house(tmp_path) as home:
        text = (folder(name) / case["diagram"]).read_text().replace(RECORDED_WEB, web.url)
        submitted = await home.submit(text, **(how | {"keep_going": False} if expect.failed else how))
        told = [(it.severity, it.code) for it in submitted.diagnostics]
        assert sorted(code for level, code in told if level == diagram_pb2.SEVERITY_ERROR) == sorted(expect.refused)
        warned = [code for level, code in told if level == diagram_pb2.SEVERITY_WARNING]
        assert not Counter(expect.warned) - Counter(warned), warned
        if expect.refused:
            assert not submitted.execution_id
            return
        done = await answered(home, submitted.execution_id, expect)
        if expect.how.get("keep_going"):
            assert done.status == "failed" and "end" not in done.labels
            done = await home.run(text, **how)
    check(done, expect, tmp_path)
    if expect.recorded:
        check_recorded(done, expect, read(name, "expected.json"), tmp_path)


async def answered(home: House, execution_id: str, expect: Expect) -> Finished:
    """Follow to the end, saying what the case has a human say."""
    asked = []
    async for event in home.watch(execution_id):
        if event.HasField("interaction_opened"):
            opened = event.interaction_opened
            asked.append(opened.prompt)
            await home.answer(execution_id, opened.label, expect.answers[opened.prompt])
    assert asked == list(expect.answers)
    return await home.follow(execution_id)


def check(done: Finished, expect: Expect, base: Path) -> None:
    errors = {run.label: run.error.message for run in done.node_runs if run.status == FAILED}
    assert done.status == expect.status, errors
    assert errors.keys() == expect.failed.keys()
    assert all(words in errors[label] for label, words in expect.failed.items()), errors
    assert not expect.fired or tuple(done.labels) == expect.fired
    for label, value in expect.outputs.items():
        assert holds(done.output(label), value), (label, done.output(label))
    for label, words in expect.tokens.items():
        assert sum(run.usage.input for run in done.node_runs if run.label == label) == words, label
    for file, wanted in expect.files.items():
        assert (base / file).exists() is (wanted is not None)
        if wanted is not None:
            text = (base / file).read_text()
            assert text == wanted if isinstance(wanted, str) else holds(json.loads(text), wanted), (file, text)


def holds(value: Any, wanted: Any) -> bool:
    """Of maps, also of those in lists, the wanted keys only."""
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return all(key in value and holds(value[key], part) for key, part in wanted.items())
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(holds, value, wanted))
    return type(value) is type(wanted) and value == wanted


def check_recorded(done: Finished, expect: Expect, expected: dict[str, Any], base: Path) -> None:
    """Firings, last values and files, as far as the case does not say otherwise."""
    assert (done.status == "completed") is (expected["exit_code"] == 0)
    steps: list[list[str]] = expected["steps"]
    fired = [label for step in steps for label in step]
    assert Counter(done.labels) == Counter(fired)
    if all(len(step) == 1 for step in steps):
        assert done.labels == fired
    last = {it["node"]: it["body"] for it in expected["trace"] if it["event"] == "out"}
    for label in last.keys() - expect.outputs.keys():
        assert done.output(label) == last[label], label
    for file in expected["files_written"].keys() - expect.files.keys():
        assert content((base / file).read_text()) == content(expected["files_written"][file]), file


def content(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
