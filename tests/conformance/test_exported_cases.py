"""Recorded cases and real diagrams as scripts: the same end, the same result and the same files as when they are run.

Only where DIPEO_TEST_SHARED names the folder that holds cases/ and corpus/.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance.expectations import CASES
from conformance.test_shared_cases import RECORDED_WEB, SHARED, answered, folder, read
from house import Finished, house
from scripts import export_of, run_script
from webserver import serving

from dipeo_executor.formats.detect import format_of_name

pytestmark = pytest.mark.skipif(not SHARED, reason="DIPEO_TEST_SHARED does not name the folder of the recordings")

# what a script refuses, in words of its error (docs/export.md)
REFUSED = {
    **dict.fromkeys(("api-auth",), "is a secret in the diagram"),
    **dict.fromkeys(("code-typescript", "code-typescript-without-tsx"), "TypeScript"),
    **dict.fromkeys(("hook-file", "hook-http", "hook-python", "hook-shell", "hook-webhook"), "type hook"),
    "hook-shell-command-field": "type hook",
    "integrated-api-unknown": "type integrated_api",
    "diff-patch": "type diff_patch",
    "person-no-prompt": "it has no prompt",
    "codegen_generate_strawberry.light.yaml": "type ir_builder",
    "codegen_parse_typescript_batch_direct.light.yaml": "type typescript_ast",
}
WITH_KEYS = {"person-missing-key"}  # without --mock, where a key is missing
RUN_CASES = [name for name, it in CASES.items() if not it.refused and name not in WITH_KEYS]
CORPUS = sorted(path for path in Path(SHARED or "/nowhere").glob("corpus/*/*") if format_of_name(path.name))


@pytest.mark.parametrize("name", RUN_CASES)
async def test_a_recorded_case_gives_the_same_as_a_script(name: str, tmp_path: Path) -> None:
    expect, case = CASES[name], read(name, "input.json")
    bases = [tmp_path / "run", tmp_path / "script"]
    for base in bases:
        (base / "files").mkdir(parents=True)
        if (folder(name) / "base").is_dir():
            shutil.copytree(folder(name) / "base", base, dirs_exist_ok=True)
    how: dict[str, Any] = {"variables": case.get("input_data"), "path": case["diagram"], **expect.how}
    async with serving() as web:
        text = (folder(name) / case["diagram"]).read_text().replace(RECORDED_WEB, web.url)
        await compare(name, text, bases, how | {"keep_going": False}, list(expect.answers.values()), expect)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
async def test_a_real_diagram_gives_the_same_as_a_script(path: Path, tmp_path: Path) -> None:
    bases = [tmp_path / "run", tmp_path / "script"]
    for base in bases:
        shutil.copytree(Path(SHARED) / "corpus/run/files", base / "files")
        for it in base.rglob("*"):  # the copies are read-only like their originals
            it.chmod(0o755 if it.is_dir() else 0o644)
    how = {"format": f"FORMAT_{format_of_name(path.name).upper()}", "path": path.name, "non_interactive": True}
    await compare(path.name, path.read_text(), bases, how, [], None)


async def compare(name: str, text: str, bases: list[Path], how: dict[str, Any], said: list[str], expect: Any) -> None:
    async with house(bases[0]) as home:
        response = await export_of(home, text, how["path"], how.get("format", "FORMAT_UNSPECIFIED"))
        messages = [it.message for it in response.diagnostics]
        submitted = await home.submit(text, **how)
        if not submitted.execution_id or name in REFUSED:
            assert not response.text and any(REFUSED.get(name, "") in it for it in messages), messages
            return
        assert response.text, messages
        done = await (answered(home, submitted.execution_id, expect) if said else home.follow(submitted.execution_id))
    options = ["--no-interactive"] if how.get("non_interactive") else []
    for key, value in (how.get("variables") or {}).items():
        options += ["-i", f"{key}:={json.dumps(value)}"]
    typed = "".join(f"{line}\n" for line in said)
    script = await asyncio.to_thread(run_script, bases[1], response.text, *options, stdin=typed)
    check(done, script)
    if done.status == "completed":
        assert files_in(bases[1]) == files_in(bases[0])


def check(done: Finished, script: "subprocess.CompletedProcess[str]") -> None:
    assert (script.returncode == 0) is (done.status == "completed"), (done.execution.error.message, script.stderr)
    if done.status == "completed":
        shown = script.stdout.removesuffix("\n")
        result = shown if isinstance(done.result, str) else json.loads(shown)
        assert plain(result) == plain(done.result)
    elif done.status == "failed":
        failed = [run.label for run in done.node_runs if run.error.message]
        assert any(f'node "{label}"' in script.stderr for label in failed)


def plain(value: Any) -> Any:
    """Without what names an execution, and what a script does not count: usage, times, ids of messages."""
    if isinstance(value, Mapping):
        left_out = ("metadata", "timestamp", "token_count", "message_type", "id", "headers")
        return {key: plain(it) for key, it in value.items() if key not in left_out}
    return [plain(it) for it in value] if isinstance(value, list) else value


def files_in(base: Path) -> dict[str, Any]:
    found = (path for path in base.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(base).as_posix(): plain(content(path))
        for path in found
        if not path.name.startswith("state.db") and path.name != "script.py"
    }


def content(path: Path) -> Any:
    text = path.read_text(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
