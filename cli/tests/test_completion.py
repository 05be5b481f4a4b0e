"""What a shell is offered for a line."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def offered(dipeo: Any, line: str) -> list[str]:
    done = dipeo("complete-line", line)
    assert (done.returncode, done.stderr) == (0, "")
    return [each.partition("\t")[0] for each in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("dipeo re", {"results", "resume"}),
        ("dipeo context ", {"add", "use", "list", "remove"}),
        ("dipeo run --out", {"--output-only", "--outputs"}),
        ("dipeo run ok --progress ", {"auto", "tty", "plain", "json", "none"}),
        ("dipeo run o", {"ok.light.yaml"}),
        ("dipeo -C . run --mock-llm ok", {"ok.light.yaml"}),
        ("dipeo config set ti", {"timeout"}),
        ("dipeo context use lo", {"local"}),
        ("dipeo help ex", {"exit-codes"}),
        ("dipeo completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_words_that_need_no_gateway(dipeo: Any, line: str, some: set[str]) -> None:
    assert some <= set(offered(dipeo, line))


@pytest.mark.parametrize("line", ["dipeo results ", "dipeo run ok ", "dipeo run --save ", "dipeo frobnicate x ", ""])
def test_where_nothing_is_known_nothing_is_offered(dipeo: Any, line: str) -> None:
    assert [each for each in offered(dipeo, line) if "exec_" in each] == []


def test_recent_runs_come_from_the_gateway_with_what_they_are(dipeo: Any, remote: Any, gateway: Any) -> None:
    gateway.answers = {
        "listExecutions": [gateway.execution(name="tea"), gateway.execution("failed", id="exec_" + "f" * 32)]
    }
    done = remote("complete-line", "dipeo results exec_0")
    assert done.stdout == f"{gateway.execution_id}\tcompleted tea\n"
    assert offered(remote, "dipeo metrics --compare @") == ["@last"]


def test_labels_of_the_nodes_after_an_id(remote: Any, gateway: Any) -> None:
    gateway.answers = {"getExecution": gateway.execution()}
    assert offered(remote, f"dipeo logs {gateway.execution_id} --node ") == ["Done"]
    assert offered(remote, f"dipeo answer {gateway.execution_id} D") == ["Done"]


def test_each_kind_of_value_has_its_own_words(remote: Any, gateway: Any) -> None:
    gateway.answers = {
        "getApiKeys": [{"label": "mine", "service": "openai"}],
        "listProviders": [{"name": "github", "metadata": {"description": "Code"}}],
        "getProvider": {"operations": [{"name": "get_user", "description": None}]},
        "getNodeTypes": {"types": [{"name": "code_job", "summary": "Runs code"}]},
        "getExecution": gateway.execution(),
        "listExecutions": [gateway.execution()],
    }
    for line, words in {
        "dipeo keys test ": ["mine"],
        "dipeo integrations call github get_user --key ": ["mine"],
        "dipeo integrations show ": ["github"],
        "dipeo integrations call github ": ["get_user"],
        "dipeo nodes co": ["code_job"],
        "dipeo graph ok --format ": ["ascii", "mermaid", "dot", "svg"],
        "dipeo list --format ": ["light", "native", "readable"],
        "dipeo -o n": ["ndjson"],
        "dipeo run --rerun @": ["@last"],
        f"dipeo run --rerun {gateway.execution_id} --from ": ["Done"],
        "dipeo retry @last --from D": ["Done"],
        "dipeo keys add ": [],
    }.items():
        assert offered(remote, line) == words, line


def test_quotes_of_the_shell_are_understood(remote: Any, gateway: Any) -> None:
    runs = [{"label": "Fetch data", "type": "api_job"}]
    gateway.answers = {"getExecution": gateway.execution(node_runs=runs)}
    for typed in ('"Fet', "'Fetch da", "Fetch\\ d"):
        assert offered(remote, f"dipeo logs {gateway.execution_id} --node {typed}") == ["Fetch data"]


@pytest.fixture
def shells(dipeo: Any, tmp_path: Path) -> dict[str, str]:
    """An environment in which `dipeo` is a command, as shells look for it."""
    command = tmp_path / "dipeo"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dipeo_cli "$@"\n')
    command.chmod(0o755)
    return dipeo.environment | {"PATH": f"{tmp_path}:{dipeo.environment['PATH']}"}


def spoken(shells: dict[str, str], folder: Path, *words: str) -> list[str]:
    done = subprocess.run(words, cwd=folder, env=shells, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_inserts_it_where_a_word_breaks_at_the_sign(remote: Any, gateway: Any, shells: dict[str, str]) -> None:
    runs = [{"label": "Fetch data", "type": "api_job"}]
    gateway.answers = {"getExecution": gateway.execution(node_runs=runs)}
    script = """
source <(dipeo completion bash)
try() {
  COMP_LINE="$1" COMP_POINT=${#1}; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  _dipeo; echo "${COMPREPLY[*]}"
}
try "dipeo run ok --progress pl" dipeo run ok --progress pl
try "dipeo conf" dipeo conf
try "dipeo run ./o" dipeo run ./o
try "dipeo logs ID --node Fet" dipeo logs ID --node Fet
"""
    script = script.replace("ID", gateway.execution_id)
    assert spoken(shells | remote.environment | {"PATH": shells["PATH"]}, remote.project, "bash", "-c", script) == [
        "plain", "config", "", "Fetch\\ data",
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed; on Debian: apt-get install fish")
def test_fish_offers_the_same_and_files_where_there_is_nothing(dipeo: Any, shells: dict[str, str]) -> None:
    def offers(line: str) -> list[str]:
        script = f"dipeo completion fish | source; complete -C '{line}'"
        lines = spoken(shells | {"HOME": str(dipeo.project)}, dipeo.project, "fish", "--no-config", "-c", script)
        return [each.partition("\t")[0] for each in lines]

    assert offers("dipeo run ok --progress p") == ["plain"]
    assert offers("dipeo conf") == ["config"]
    (dipeo.project / "notes.txt").touch()
    assert offers("dipeo run ok --save no") == ["notes.txt"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_its_shell_can_read(dipeo: Any, shell: str) -> None:
    script = dipeo("completion", shell).stdout
    assert "complete-line" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, timeout=20).returncode == 0
    assert dipeo("completion", "tcsh").returncode == 2
