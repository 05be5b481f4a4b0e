"""docs/limits.md says what the code does."""

import re
from pathlib import Path

import pytest

from dipeo_executor import values
from dipeo_executor.settings import Settings as Executor
from dipeo_store import blobs, wire
from dipeo_store.settings import Settings as Store

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
ROWS = re.findall(r"^\|([^|]+)\|([^|]+)\|([^|]*`DIPEO_(?:STORE|EXECUTOR)_[^|]*)\|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_each_variable_has_the_default_that_the_page_names(row: tuple[str, str, str]):
    match = re.search(r"`(DIPEO_(STORE|EXECUTOR)_([A-Z_]+))`", row[2])
    assert match is not None
    settings = (Store if match[2] == "STORE" else Executor).model_fields
    default = settings[match[3].lower()].default
    said = re.sub(r"[^0-9.]", "", row[1].replace("no limit", "0"))
    assert float(said) == default, f"{match[1]} is {default}, the page says {row[1].strip()}"


def test_the_sizes_of_the_page_are_those_of_the_code():
    for size, said in (
        (values.MAX_BYTES, "A value on an arrow, as JSON | 8 MiB"),
        (blobs.INLINE_BYTES, "kept inside its event | 8 KiB"),
        (blobs.SHOWN_BYTES, "in live events | 256 KiB"),
        (blobs.MAX_BYTES, "An uploaded blob | 256 MiB"),
        (wire.MAX_GIVEN_BYTES, "Variables and options of a run together | 1 MiB"),
        (wire.MAX_RESPONSE_BYTES, "An answer to a question | 256 KiB"),
    ):
        number, unit = said.split()[-2:]
        assert said in PAGE and size == int(number) * {"KiB": 1024, "MiB": 1024**2}[unit]
