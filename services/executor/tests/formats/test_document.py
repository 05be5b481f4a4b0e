import json

import pytest
import yaml

from dipeo_executor.formats import document
from dipeo_executor.formats.diagnostics import Report


def read(text, path="x.yaml"):
    report = Report()
    parsed = document.parse(text, path, report)
    return (parsed.value if parsed else None), report


@pytest.mark.parametrize(
    "text",
    [
        "a: yes\nb: off\nc: 'on'",
        "[012, 0x1f, 0b11, 1_000, 12:30, 1e5, 1.5e+3, .5, ~, null, -0]",
        "a: &x {b: [1, 2]}\nc: *x\nd: {<<: *x, e: 1}",
        'a: |\n  two\n  lines\nb: >-\n  folded\n  text\nc: "\\u00e9\\t"',
        "1: one\ntrue: two\n~: three",
        "",
    ],
)
def test_yaml_reads_as_the_safe_loader_of_pyyaml_does(text):
    value, report = read(text)
    assert (value, report.found) == (yaml.safe_load(text), [])


def test_dates_become_iso_text():
    value, _ = read("a: 2024-01-02\nb: 2001-12-14t21:59:43.10-05:00")
    assert value == {"a": "2024-01-02", "b": "2001-12-14T21:59:43.100000-05:00"}


def test_keys_with_two_leading_underscores_vanish_at_every_depth():
    value, _ = read('{"__typename": "x", "a": [{"__b": 1, "_c": 2}]}', "x.json")
    assert value == {"a": [{"_c": 2}]}


def test_aliases_are_copies():
    value, _ = read("a: &x {n: 1}\nb: *x")
    value["a"]["n"] = 2
    assert value["b"] == {"n": 1}


def test_json_positions_count_lines_and_columns():
    _, report = read('{\n  "a": [1,\n    {"b": "x\\"}", "c": -1e5}]\n}', "x.json")
    assert report.positions.of(("a", 1, "c")) == (3, 19)
    assert report.positions.of_value(("a", 1, "c")) == (3, 24)
    assert report.positions.of(("a", 1, "missing")) == (3, 5)


def test_yaml_positions_count_lines_and_columns():
    _, report = read("a:\n- 1\n- {b: x, c: 5}\n")
    assert report.positions.of(("a", 1, "c")) == (3, 10)
    assert report.positions.of_value(("a", 1, "c")) == (3, 13)


def test_a_json_escape_of_an_emoji_is_one_character():
    assert read(json.dumps({"a": "😀"}), "x.yaml")[0] == {"a": "😀"}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 5000, "? " * 5000])
def test_deep_nesting_is_refused_before_it_can_hurt(text):
    assert [problem.code for problem in read(text)[1].found] == ["L1"]


def test_deep_json_is_refused():
    for depth in (500, 100_000):
        assert [problem.code for problem in read('{"a":' * depth + "1" + "}" * depth, "x.json")[1].found] in (
            ["L1"],
            ["L2"],
        )


def test_aliases_that_explode_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert [problem.code for problem in read("\n".join(lines))[1].found] == ["L1"]


def test_aliases_that_nest_too_deeply_are_refused():
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 300))]
    assert [problem.code for problem in read("\n".join(lines))[1].found] == ["L1"]


def test_a_value_within_itself_is_refused():
    assert [problem.code for problem in read("a: &x [*x]")[1].found] == ["L1"]


def test_a_too_large_text_is_refused():
    assert [problem.code for problem in read("x" * (document.MAX_CHARACTERS + 1))[1].found] == ["L1"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: [b", 1, 4),
        ("a:\n\t- b", 2, 1),
        ("a: !!python/object:os.system x", 1, 4),
        ("a: !!binary aGk=", 1, 4),
        ("a: 0b_", 1, 4),
        ("\na: 2024-13-45", 2, 4),
        ("a: !!bool maybe", 1, 4),
        ("a: 0x" + "f" * 10_000, 1, 4),
        ("a: " + "9" * 10_000, 1, 4),
        ("? [a]\n: b", 1, 3),
        ("a\n--- \nb: \x07", 3, 4),
        ("a: b\n---\nc: d", 2, 1),
    ],
)
def test_malformed_yaml_is_reported_at_its_place(text, line, column):
    problem = read(text)[1].found[0]
    assert (problem.code, problem.line, problem.column) == ("L2", line, column)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('{"a": 1,}', 1, 8), ('{"a": NaN}', 0, 0), ('{\n"a" 1}', 2, 5), ('{"a": "\\ud800"}', 0, 0), ("", 1, 1)],
)
def test_json_files_are_held_to_the_standard(text, line, column):
    problem = read(text, "x.json")[1].found[0]
    assert (problem.code, problem.line) == ("L2", line)


def test_a_tab_is_named_as_the_cause():
    assert "indent with spaces" in read("a:\n\t- b")[1].found[0].message


def test_a_repeated_key_is_told_and_the_last_one_counts():
    value, report = read("a: 1\nb: {c: 1, c: 2}\na: 3")
    assert value == {"a": 3, "b": {"c": 2}}
    assert [(problem.code, problem.line) for problem in report.in_file_order()] == [("L17", 2), ("L17", 3)]


def test_merged_keys_that_are_overridden_are_no_repetition():
    assert read("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2")[1].found == []
