"""Every conformance case of the command line (spec/cli.md §17) has a test that carries its number."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PLACES = ("cli/tests/test_*.py", "tests/integration/test_cli_*.py", "tests/integration/test_local_stack.py")
NUMBER = re.compile(r"^(?:async )?def test_cases?_(\d+(?:_(?:to_|and_)?\d+)*)|^ +\(\[.*# case (\d+)$", re.MULTILINE)
NOT_PART = set(range(58, 62))  # dipeocc


def numbers(words: str) -> set[int]:
    """37_to_40, 13_and_25, 7_8_9."""
    first, to, last = words.partition("_to_")
    if to:
        return set(range(int(first), int(last) + 1))
    return {int(word) for word in words.split("_") if word.isdigit()}


def test_every_case_has_a_test_of_its_number() -> None:
    text = "\n".join(path.read_text() for place in PLACES for path in ROOT.glob(place))
    found = {number for named, noted in NUMBER.findall(text) for number in numbers(named or noted)}
    assert sorted(set(range(1, 71)) - NOT_PART - found) == []
