"""docs/schema.graphql is the schema, and what it promised is kept."""

from pathlib import Path

import pytest

from dipeo_gateway import reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "schema.graphql"


def test_the_page_is_the_schema():
    assert DOCUMENT.read_text() == reference.text(), "run `make protos`"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  reason: String = null\n", "", "ExecutionControlInput.reason was removed"),
        ("  retryExecution(", "  runAgain(", "Mutation.retryExecution was removed"),
        ("  deleted_count: Int\n", "  deleted_count: String\n", "DeleteResult.deleted_count changed type"),
        ("  from_node: String = null\n", "  from_node: String!\n", "RetryExecutionInput.from_node changed type"),
        ("  GROQ\n", "", "APIServiceType.GROQ was removed"),
    ],
)
def test_what_an_earlier_client_relies_on_cannot_go(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    said: str,
):
    promised, file = reference.text(), tmp_path / "schema.graphql"
    assert before in promised
    file.write_text(promised)
    monkeypatch.setattr(reference, "text", lambda: promised.replace(before, after))
    assert reference.main(file, only_check=False) == 1
    assert said in capsys.readouterr().err
    assert file.read_text() == promised


def test_what_is_added_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    promised, file = reference.text(), tmp_path / "schema.graphql"
    file.write_text(promised)
    added = promised.replace("  GROQ\n", "  GROQ\n  XAI\n")
    monkeypatch.setattr(reference, "text", lambda: added)
    assert reference.main(file, only_check=True) == 1
    assert reference.main(file, only_check=False) == 0
    assert file.read_text() == added
