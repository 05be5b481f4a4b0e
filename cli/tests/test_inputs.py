from pathlib import Path

import pytest

from dipeo_cli import inputs
from dipeo_cli.errors import Usage


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "vars.json"
    file.write_text('{"a": 1, "b": 1}')
    assert inputs.variables(str(file), "", ["b=text", "c:=[1, null]"]) == {"a": 1, "b": "text", "c": [1, None]}


@pytest.mark.parametrize(
    ("name", "text"), [("x.yaml", "n: 3\nt: tea"), ("x.toml", 'n = 3\nt = "tea"'), ("x.json", '{"n": 3, "t": "tea"}')]
)
def test_files_may_be_yaml_toml_or_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert inputs.variables(str(tmp_path / name), "", []) == {"n": 3, "t": "tea"}


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "poem").write_text("two\nlines")
    assert inputs.variables("", "", [f"poem=@{tmp_path / 'poem'}"]) == {"poem": "two\nlines"}


@pytest.mark.parametrize(
    ("data", "pairs", "said"),
    [
        ("{bad", [], "line 1, column 2"),
        ("[1, 2]", [], "must be an object"),
        ('{"a": NaN}', [], "NaN is not JSON"),
        ("", ["novalue"], "key=text"),
        ("", ["k:={"], "-i k: line 1, column 2"),
        ("", ["k=@/no/such/file"], "cannot read /no/such/file"),
    ],
)
def test_bad_input_names_its_place(data: str, pairs: list[str], said: str) -> None:
    with pytest.raises(Usage) as caught:
        inputs.variables("", data, pairs)
    assert said in str(caught.value)


def test_file_and_data_exclude_each_other() -> None:
    with pytest.raises(Usage, match="not allowed with"):
        inputs.variables("a.json", "{}", [])


def test_answers_are_text_by_label(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text('{"Name": "Ada", "Age": "36"}')
    assert inputs.answers(str(file), ["Age=37=x"]) == {"Name": "Ada", "Age": "37=x"}
    file.write_text('{"Age": 36}')
    with pytest.raises(Usage, match="must be text"):
        inputs.answers(str(file), [])


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("5m", 300), ("1h", 3600)])
def test_durations_have_units(text: str, seconds: float) -> None:
    assert inputs.seconds(text, "--timeout") == seconds


@pytest.mark.parametrize("text", ["0", "-1", "soon", "5w"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(Usage, match="--timeout"):
        inputs.seconds(text, "--timeout")
