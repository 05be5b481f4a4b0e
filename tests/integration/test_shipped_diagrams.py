"""The examples run as they are; the original's diagrams too, where they are at hand."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Project

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.light.yaml"))
CORPUS = Path(os.environ.get("DIPEO_TEST_SHARED", "nowhere")) / "corpus" / "run"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    base = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "examples", base / "examples")
    made = Project(base)
    yield made
    made.stop()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_runs_offline(project: Project, name: str):
    done = project.json("run", f"examples/{name}", "--mock-llm", "--timeout", "60", "--json", "--no-interactive")
    assert done["status"] == "completed" and done["node_runs"], done
    assert "final_output" in done


@pytest.mark.skipif(not CORPUS.exists(), reason="the original's diagrams are not at hand (DIPEO_TEST_SHARED)")
@pytest.mark.parametrize(
    "name",
    ["debate.light.yaml", "simple_iter.light.yaml", "simple_iter.native.json", "simple_iter_shorthand.light.yaml",
     "user_input_demo.light.yaml"],
)  # fmt: skip
def test_the_originals_diagrams_run_as_drawn(project: Project, name: str):
    shutil.copytree(CORPUS, project.base, dirs_exist_ok=True)
    done = project.json("run", name, "--mock-llm", "--timeout", "60", "--json", "--no-interactive")
    expected = json.loads((CORPUS / "expected.json").read_text())[name]
    assert done["status"] == "completed" and [run["label"] for run in done["node_runs"]] == expected
