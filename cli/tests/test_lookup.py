from pathlib import Path

import pytest

from dipeo_cli import lookup
from dipeo_cli.errors import CliError, NotFound


def _files(base: Path, *names: str) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("nodes: []")


@pytest.mark.parametrize(
    ("name", "format", "found"),
    [
        ("here.light.yaml", "", "work/here.light.yaml"),
        ("here", "", "work/here.light.yaml"),
        ("shown", "", "examples/shown.light.yaml"),
        ("shown", "native", "examples/shown.native.json"),
        ("v1.2", "", "projects/v1.2.yaml"),
        ("examples/shown.native", "", "examples/shown.native.json"),
        ("both", "", "work/both.light.yaml"),
        ("both", "native", "files/both.json"),
    ],
)
def test_names_are_found_where_the_original_looked(tmp_path: Path, name: str, format: str, found: str) -> None:
    _files(tmp_path, "work/here.light.yaml", "examples/shown.light.yaml", "examples/shown.native.json")
    _files(tmp_path, "projects/v1.2.yaml", "work/both.light.yaml", "files/both.json")
    assert lookup.find(name, format, tmp_path, tmp_path / "work") == tmp_path / found


def test_a_folder_is_no_diagram(tmp_path: Path) -> None:
    _files(tmp_path, "report/x.txt", "report.light.yaml")
    assert lookup.find("report", "", tmp_path, tmp_path) == tmp_path / "report.light.yaml"


def test_not_found_lists_places_and_neighbours(tmp_path: Path) -> None:
    _files(tmp_path, "examples/report.light.yaml")
    with pytest.raises(NotFound) as caught:
        lookup.find("reprot", "", tmp_path, tmp_path)
    assert str(tmp_path / "examples") in str(caught.value)
    assert "report.light.yaml" in caught.value.hint


def test_the_path_sent_is_relative_inside_the_project_and_absolute_outside(tmp_path: Path) -> None:
    base = tmp_path / "base"
    _files(tmp_path, "base/a.yaml", "b.yaml")
    assert lookup.relative(base / "a.yaml", base) == "a.yaml"
    assert lookup.relative(tmp_path / "b.yaml", base) == str(tmp_path / "b.yaml")


def test_text_that_is_no_utf8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"ab\xff")
    with pytest.raises(CliError, match="offset 2"):
        lookup.read_text(tmp_path / "x.yaml")
