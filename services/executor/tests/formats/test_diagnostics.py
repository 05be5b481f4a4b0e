import re
from pathlib import Path

from dipeo_executor.formats.diagnostics import CODES, did_you_mean, shown

DOCS = Path(__file__).parents[4] / "docs" / "diagnostics.md"


def test_the_documented_table_is_the_table_of_codes():
    rows = re.findall(r"^\| (\w\d+) \| (\w+) \| (\w+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert {code: (phase, severity, words) for code, phase, severity, words in rows} == CODES


def test_a_close_name_is_suggested_whatever_its_case():
    assert did_you_mean("PRINTR", ["printer", "end"]) == 'did you mean "printer"?'
    assert did_you_mean("zzz", ["printer", "end"]) == ""


def test_shown_values_stay_short():
    assert shown({"a": [1, "é"]}) == '{"a": [1, "é"]}'
    assert len(shown("x" * 1000)) <= 60
