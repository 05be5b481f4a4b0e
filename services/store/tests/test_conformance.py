"""Every case of spec/store.md §20 has a test that carries its number."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ELSEWHERE = {  # they need an executor
    5: ("tests/recovery/test_lost_executor.py", "test_cases_3_and_5_"),
    20: ("tests/integration/test_pause.py", "test_case_20_"),
    25: ("tests/integration/test_cli_metrics.py", "test_store_case_25_"),
}


@pytest.mark.parametrize("number", range(1, 33))
def test_the_case_is_tested_by_its_number(number: int):
    if number in ELSEWHERE:
        file, name = ELSEWHERE[number]
        sources = [(ROOT / file).read_text()]
    else:
        name = f"test_case_{number}_"
        sources = [path.read_text() for path in (ROOT / "services/store/tests").rglob("test_*.py")]
    assert any(re.search(rf"^\s*(async )?def {name}", source, re.MULTILINE) for source in sources)
