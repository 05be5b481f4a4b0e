"""What a person sees: no broken line, no stuck prompt (spec/cli.md §14.3). Needs tmux."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from command import Project, chain
from terminal.tmux import MARK, TMUX, Terminal, terminal

from dipeo_cli import cells

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed; on Debian: apt-get install tmux")

DIPEO = f"{sys.executable} -m dipeo_cli"
NODES = ("Fetch the first source", "Fetch the second source", "Fetch the third source")
PARALLEL = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Fetch the first source, type: code_job, language: bash, code: 'sleep 1.0; echo 1'}
  - {label: Fetch the second source, type: code_job, language: bash, code: 'sleep 1.3; echo 2'}
  - {label: Fetch the third source, type: code_job, language: bash, code: 'sleep 1.6; echo 3'}
  - {label: Join, type: code_job, language: python, code: "result = 'all three'"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Fetch the first source}
  - {from: Start, to: Fetch the second source}
  - {from: Start, to: Fetch the third source}
  - {from: Fetch the first source, to: Join, label: a}
  - {from: Fetch the second source, to: Join, label: b}
  - {from: Fetch the third source, to: Join, label: c}
  - {from: Join, to: Done}
"""
ASK = chain("{label: Ask, type: user_response, prompt: What is your name?}")
SECRET = chain(
    "{label: Ask, type: user_response, prompt: Which key?, sensitive: true}",
    "{label: Length, type: code_job, language: python, code: 'result = len(default)'}",
)
EXPIRES = chain("{label: Ask, type: user_response, prompt: What is your name?, timeout: 1}")
STREAMED = """version: light
persons:
  Ann: {service: mock, model: mock}
nodes:
  - {label: Start, type: start}
  - {label: 取得第一个来源的数据并且整理成一个非常长的标题, type: code_job, language: bash, code: 'sleep 0.9'}
  - label: A label that goes on and on and on past every column that a terminal may have
    type: code_job
    language: bash
    code: sleep 0.9
  - label: "🚀 two\\nlines \\e[2J"
    type: person_job
    person: Ann
    default_prompt: "[[latency 1800]] one two three four five 第六 seven eight nine ten \\e[31mred\\e[2J over"
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: 取得第一个来源的数据并且整理成一个非常长的标题}
  - {from: Start, to: A label that goes on and on and on past every column that a terminal may have}
  - {from: Start, to: "🚀 two\\nlines \\e[2J"}
  - {from: "🚀 two\\nlines \\e[2J", to: Done}
"""
SLOW = chain("{label: Nap, type: code_job, language: bash, code: 'sleep 20; echo rested'}")
ROW = re.compile(r"^ (✔|✘|\?|■|[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]) (.+?) +(×\d+)? +\d+\.\ds", re.MULTILINE)

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("terminal"))
    for name, text in {
        "parallel": PARALLEL,
        "ask": ASK,
        "secret": SECRET,
        "expires": EXPIRES,
        "slow": SLOW,
        "streamed": STREAMED,
    }.items():
        made.write(f"{name}.light.yaml", text)
    made("up", check=0)  # so that no sentence about its start is on the screen
    yield made
    made.stop()


@pytest.fixture
def window(project: Project) -> Open:
    def opened(**how: Any) -> AbstractContextManager[Terminal]:
        environment = project.environment | how.pop("environment", {})
        return terminal(project.base, environment, **how)

    return opened


def rows(screen: str) -> list[str]:
    """Names of the nodes in the live block, in order."""
    return [found[2].strip() for found in ROW.finditer(screen)]


def test_three_nodes_at_once_then_one_clean_copy(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run parallel")
        middle = screen.until(lambda seen: sum(name in seen for name in NODES) == 3, "three rows")
        running = [line for line in middle.splitlines() if re.match(r"^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] ", line)]
        assert len(running) >= 2, middle
        end = screen.done()
    assert rows(end) == ["Start", *NODES, "Join", "Done"]
    assert end.count("parallel  exec_") == 1, end
    assert all(mark == "✔" for mark, *_ in ROW.findall(end))
    tail = [line for line in end.splitlines() if line.strip()][-3:]
    assert tail == ["✅ Execution Successful", "all three", MARK.strip()]


def test_a_question_is_asked_on_its_own_line_and_answered(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run ask")
        screen.see(r"^\? Ask: What is your name\?$")
        screen.see(r"^> ?$")
        screen.type("Grace Hopper")
        end = screen.done()
    lines = [line.rstrip() for line in end.splitlines() if line.strip()]
    assert "> Grace Hopper" in lines
    assert lines[-3:] == ["✅ Execution Successful", "Grace Hopper", MARK.strip()]


@pytest.mark.parametrize("how", ["a diagram", "a script"])
def test_a_secret_is_not_shown_while_it_is_typed_nor_afterwards(window: Open, project: Project, how: str) -> None:
    command = f"{DIPEO} run secret"
    if how == "a script":
        project("export", "secret", "secret.py")
        command = f"{sys.executable} secret.py"
    with window() as screen:
        screen.run(command)
        screen.see(r"^> ?$" if how == "a diagram" else r"^Which key\? ?$")
        screen.type("hunter2\\")
        end = screen.done()
        screen.run("clear; stty -a | grep -ow -e '-*echo'")
        screen.see(r"^echo$")
    lines = [line.rstrip() for line in end.splitlines() if line.strip()]
    assert "hunter2" not in end
    assert lines[-2:] == ["8", MARK.strip()]


def test_ctrl_c_at_a_secret_gives_the_terminal_back_as_it_was(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run secret")
        screen.see(r"^> ?$")
        screen.keys("hunter2")
        screen.press("C-c")
        assert "hunter2" not in screen.done()
        screen.run("clear; stty -a | grep -ow -e '-*echo'")
        screen.see(r"^echo$")


def test_a_question_that_expires_leaves_no_stuck_prompt(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run expires")
        screen.see(r"^> ?$")
        screen.tmux("send-keys", "-l", "half an ans")
        end = screen.done()
        lines = [line.rstrip() for line in end.splitlines() if line.strip()]
        assert '(the question of "Ask" is closed: expired)' in lines, end
        assert lines[-1] == MARK.strip(), "what was typed must not reach the shell"
        screen.type("echo alive")
        screen.see(r"^alive$")


def test_ctrl_c_cancels_and_gives_the_shell_back(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run slow; echo exit $?")
        screen.see(r"^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Nap")
        screen.press("C-c")
        end = screen.done()
    lines = [line.rstrip() for line in end.splitlines() if line.strip()]
    assert lines[-2:] == ["exit 130", MARK.strip()]
    assert "cancelling; once more to leave at once" in lines
    assert "error: interrupted" in lines
    assert rows(end) == ["Start", "Nap"], end
    assert re.search(r"^ ■ Nap", end, re.MULTILINE)


@pytest.mark.parametrize(("width", "height"), [(40, 12), (24, 8)])
def test_a_narrow_terminal_breaks_no_line(window: Open, width: int, height: int) -> None:
    with window(width=width, height=height) as screen:
        screen.run(f"{DIPEO} run parallel")
        screen.see(r"^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] ")
        end = screen.done()
    lines = [line for line in end.splitlines() if line.strip()]
    verdict = lines.index("✅ Execution Successful")
    assert all(re.match(r" ✔ \S.* \d\.\ds", line) for line in lines[verdict - 6 : verdict]), end
    assert re.search(r"completed  00:0\d$", lines[verdict - 7]), end
    assert end.count("completed  00:0") == 1, end


@pytest.mark.parametrize(("width", "row"), [(100, r'.* \d\.\ds  ".*three'), (40, r".* 0\.[5-9]s")])
def test_wide_characters_long_labels_and_what_a_model_says_keep_to_their_rows(
    window: Open, width: int, row: str
) -> None:
    with window(width=width) as screen:
        screen.run(f"{DIPEO} run streamed --output-only > answer.txt")
        middle = screen.see(rf"^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] 🚀{row}")
        assert all(cells.width(line) <= width for line in middle.splitlines())
        end = screen.done()
    lines = [line for line in end.splitlines() if line.startswith(" ✔ ")]
    assert len(lines) == 5 and "🚀 two lines" in lines[3], end
    until_times = {cells.width(line.rpartition(".")[0]) for line in lines}
    assert len(until_times) == 1, f"times do not stand below each other: {end}"


def test_a_terminal_made_narrow_in_mid_run_shows_one_whole_block(window: Open) -> None:
    with window(width=100) as screen:
        screen.run(f"{DIPEO} run streamed --output-only > answer.txt")
        screen.see(r"^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] 🚀.* 0\.\ds")
        screen.tmux("resize-window", "-x", "45", "-y", "30")
        whole = r"(?m)^streamed  running  00:0\d$\n ✔ Start.*s$\n . 取得.*s$\n . A label.*s$\n . 🚀 two.*s.*$\n\s*\Z"
        screen.until(lambda _: bool(re.search(whole, screen.visible())), "the block, whole")
        assert screen.visible().count("running") == 1
        screen.done()


@pytest.mark.parametrize("how", ["NO_COLOR=1 {} run parallel", "{} run parallel --color never"])
def test_no_colour_where_none_is_wanted(window: Open, how: str) -> None:
    with window() as screen:
        screen.run(how.format(DIPEO))
        screen.done()
        painted = screen.screen(escapes=True)
    assert rows(painted)[-1] == "Done"
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;|4[0-7])[0-9;]*m", painted)


def test_colour_on_a_terminal(window: Open) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run parallel")
        screen.done()
        assert re.search(r"\x1b\[3[0-7]m", screen.screen(escapes=True))


def test_into_a_pipe_only_the_answer_and_progress_stays_on_the_terminal(window: Open, project: Project) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run parallel --output-only | cat > answer.txt")
        end = screen.done()
    assert rows(end) == ["Start", *NODES, "Join", "Done"]
    assert (project.base / "answer.txt").read_text() == "all three\n"
    assert [line for line in end.splitlines() if line.strip()][-1].rstrip() == MARK.strip()


def test_everything_into_a_pipe_is_plain(window: Open, project: Project) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} run parallel 2>&1 | cat > both.txt")
        screen.done()
    text = (project.base / "both.txt").read_text()
    assert "\x1b" not in text and "\r" not in text
    assert 'node "Join" completed' in text


def test_the_list_of_runs_is_drawn_again_until_ctrl_c(window: Open, project: Project) -> None:
    with window() as screen:
        screen.run(f"{DIPEO} ps --watch")
        screen.see(r"^ID +STATUS")
        screen.press("C-c")
        screen.see(r"error: interrupted")
        screen.type("echo alive")
        screen.see(r"^alive$")


def test_what_would_be_destroyed_is_asked_for(window: Open, project: Project) -> None:
    execution_id = project.background("slow")
    with window() as screen:
        screen.run(f"{DIPEO} cancel --all-running")
        screen.see(r"abort 1 run\? \[y/N\]")
        screen.type("y")
        screen.see(rf"^{execution_id} aborted")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed; on Debian: apt-get install zsh")
def test_zsh_completes_commands_and_the_nodes_of_a_run(window: Open, project: Project, tmp_path: Path) -> None:
    execution_id = project.json("run", "ask", "--no-interactive", "--json", "-q")["session_id"]
    command = tmp_path / "dipeo"
    command.write_text(f'#!/bin/sh\nexec {DIPEO} "$@"\n')
    command.chmod(0o755)
    with window(environment={"PATH": f"{tmp_path}:{project.environment['PATH']}"}) as screen:
        screen.run("exec zsh -f -i")
        screen.run("PS1='Z> '; autoload -U compinit; compinit -u -D; source <(dipeo completion zsh); echo ready")
        screen.see(r"^ready$")
        screen.keys("dipeo conf\t")
        screen.see(r"^Z> dipeo config")
        screen.press("C-u")
        screen.keys(f"dipeo logs {execution_id} --node \t")
        screen.see(r"^Ask +-- user_response")
        screen.keys("As\t-f\n")
        screen.see(r'node "Ask" completed')
