"""What clients send, kept by content, and the folders made of it."""

import hashlib
import os
from pathlib import Path

import pytest

from dipeo_executor.compiler import compile_diagram
from dipeo_executor.uploads import UploadedSource
from dipeo_executor.workspaces import Workspaces, checked_uploads
from dipeo_kit.errors import BadInput, NotFound
from dipeo_kit.ids import new_execution_id

DIAGRAM = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Load, type: db, operation: read, file: data/in.csv}
  - {label: All, type: db, operation: read, file: "data/*.txt"}
  - {label: Named, type: db, operation: read, file: "{{name}}.txt"}
  - {label: Work, type: code_job, language: python, file_path: code/work.py}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Load}
  - {from: Load, to: All}
  - {from: All, to: Named}
  - {from: Named, to: Work}
  - {from: Work, to: Done}
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path)


def test_contents_travel_once(workspaces: Workspaces) -> None:
    wanted = [digest(b"a"), digest(b"b"), digest(b"a"), ""]
    assert workspaces.missing(wanted) == [digest(b"a"), digest(b"b")]
    workspaces.keep([b"a"])
    assert workspaces.missing(wanted) == [digest(b"b")]


def test_a_workspace_holds_what_was_sent_and_tells_what_was_written(workspaces: Workspaces) -> None:
    workspaces.keep([b"one", b"two"])
    execution_id = new_execution_id()
    uploads = {"a.txt": digest(b"one"), "deep/b.txt": digest(b"two"), "absent.txt": ""}
    folder = workspaces.make(execution_id, uploads)
    assert workspaces.written(execution_id) == []
    (folder / "a.txt").write_text("changed")
    (folder / "out").mkdir()
    (folder / "out/new.txt").write_text("new")
    (folder / "link").symlink_to("/etc/hostname")
    found = workspaces.written(execution_id)
    assert [(it.name, it.size) for it in found] == [("a.txt", 7), ("out/new.txt", 3)]
    assert workspaces.file(execution_id, "out/new.txt") == b"new"
    assert workspaces.read(digest(b"one")) == b"one", "what a run changes is its own copy"
    assert workspaces.make(execution_id, uploads) == folder, "a recovered run finds its files as it left them"
    for name in ("link", "nothing"):
        with pytest.raises(NotFound):
            workspaces.file(execution_id, name)
    with pytest.raises(NotFound):
        workspaces.written(new_execution_id())


def test_a_file_that_is_gone_is_named(workspaces: Workspaces) -> None:
    with pytest.raises(NotFound, match=r"a\.txt"):
        workspaces.make(new_execution_id(), {"a.txt": digest(b"lost")})


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ".dipeo/token", "a//b", "", ".", "a\0b"])
def test_names_stay_below_the_root(name: str) -> None:
    with pytest.raises(BadInput):
        checked_uploads({name: ""})


def test_a_digest_is_a_digest() -> None:
    with pytest.raises(BadInput, match="SHA-256"):
        checked_uploads({"a": "../../etc/passwd"})


def test_what_nobody_used_for_days_is_removed_at_start(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    workspaces.keep([b"old", b"new"])
    execution_id = new_execution_id()
    folder = workspaces.make(execution_id, {})
    for path in (folder, tmp_path / "blobs" / digest(b"old")[:2] / digest(b"old")):
        os.utime(path, (0, 0))
    again = Workspaces(tmp_path)
    assert again.missing([digest(b"old"), digest(b"new")]) == [digest(b"old")]
    assert not folder.exists()


def wanted(workspaces: Workspaces, files: dict[str, str]) -> list[str]:
    source = UploadedSource(workspaces, files)
    compiled = compile_diagram(DIAGRAM, path="flow.light.yaml", files=source)
    return source.wanted_for(compiled.program)


def test_what_a_diagram_reads_is_asked_for_code_first_then_data(workspaces: Workspaces) -> None:
    assert wanted(workspaces, {}) == ["code/work.py"]
    code = b"def main(**_): return 1\n"
    workspaces.keep([code])
    files = {"code/work.py": digest(code)}
    assert wanted(workspaces, files) == ["data/in.csv", "data/*.txt", "code/*.py"]
    files |= {"data/in.csv": "", "data/*.txt": "", "code/*.py": ""}
    assert wanted(workspaces, files) == []


def test_a_file_the_client_has_not_is_a_diagnostic_not_a_question(workspaces: Workspaces) -> None:
    source = UploadedSource(workspaces, {"code/work.py": ""})
    compiled = compile_diagram(DIAGRAM, path="flow.light.yaml", files=source)
    assert source.wanted_for(compiled.program) == []
    assert any("code/work.py" in it.message for it in compiled.diagnostics)
