"""What breaks a release that still runs is refused; what it does not notice is not. Real .proto files, real protoc."""

from pathlib import Path

import contract
import pytest

PROMISED = """syntax = "proto3";
package test.v1;
service Teas {
  rpc Brew(Tea) returns (Tea);
  rpc Follow(Tea) returns (stream Tea);
}
enum Kind {
  KIND_UNSPECIFIED = 0;
  KIND_GREEN = 1;
}
message Tea {
  reserved 9;
  reserved "sugar";
  string name = 1;
  int32 minutes = 2;
  oneof how {
    Kind kind = 3;
    string other = 4;
  }
  repeated string notes = 5;
}
message Cup {
  int32 size_ml = 1;
}
"""


@pytest.fixture
def facts_of(tmp_path: Path):
    def read(text: str) -> dict[str, str]:
        (tmp_path / "tea.proto").write_text(text)
        return contract.facts(tmp_path, ["tea.proto"])

    return read


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("minutes = 2", "minutes = 6", "test.v1.Tea 2: minutes int32 is gone; reserve its number and its name"),
        ("int32 minutes = 2", "int64 minutes = 2", "test.v1.Tea 2: was minutes int32, is minutes int64"),
        ("minutes = 2", "seconds = 2", "test.v1.Tea 2: was minutes int32, is seconds int32"),
        ("repeated string notes", "string notes", "test.v1.Tea 5: was notes repeated string, is notes string"),
        ("    string other = 4;\n  }", "  }\n  string other = 4;", "test.v1.Tea 4: was other string in how, is other"),
        ("  int32 minutes = 2;\n", "", "test.v1.Tea 2: minutes int32 is gone"),
        ("  int32 minutes = 2;\n", "  reserved 2;\n", "test.v1.Tea 2: minutes int32 is gone"),
        ("  reserved 9;\n", "", "test.v1.Tea 9: reserved is gone"),
        ("  reserved 9;\n", "  string milk = 9;\n", "test.v1.Tea 9: was reserved, is milk string"),
        ('  reserved "sugar";\n', "", 'test.v1.Tea "sugar": reserved is gone'),
        ("KIND_GREEN = 1", "KIND_GREEN = 2", "test.v1.Kind 1: KIND_GREEN is gone"),
        ("  rpc Brew(Tea) returns (Tea);\n", "", "test.v1.Teas/Brew: test.v1.Tea -> test.v1.Tea is gone; keep it"),
        ("Brew(Tea)", "Brew(Cup)", "test.v1.Teas/Brew: was test.v1.Tea -> test.v1.Tea, is test.v1.Cup -> test.v1.Tea"),
        ("Brew(Tea)", "Brew(stream Tea)", "test.v1.Teas/Brew: was test.v1.Tea -> test.v1.Tea, is stream test.v1.Tea"),
        ("message Cup {\n  int32 size_ml = 1;\n}\n", "", "test.v1.Cup: message is gone; keep it"),
    ],
)
def test_a_change_that_an_older_release_would_not_understand_is_refused_by_name(
    facts_of, before: str, after: str, said: str
):
    assert before in PROMISED
    promised = facts_of(PROMISED)
    broken = contract.broken(promised, facts_of(PROMISED.replace(before, after)))
    assert broken and broken[0].startswith(said)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("message Cup", "message Pot {}\nmessage Cup"),
        ("size_ml = 1;", "size_ml = 1;\n  string colour = 2;"),
        ("KIND_GREEN = 1;", "KIND_GREEN = 1;\n  KIND_BLACK = 2;"),
        ("service Teas {", "service Teas {\n  rpc Pour(Cup) returns (Tea);"),
        ("  int32 minutes = 2;\n", '  reserved 2;\n  reserved "minutes";\n'),
    ],
)
def test_what_is_added_or_retired_in_order_is_not(facts_of, before: str, after: str):
    promised, found = facts_of(PROMISED), facts_of(PROMISED.replace(before, after))
    assert contract.broken(promised, found) == []
    assert found != promised  # so that the committed text is stale


def test_a_fact_is_read_as_it_was_written(facts_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contract, "TEXT", tmp_path / "contract.txt")
    contract.write(facts_of(PROMISED))
    assert contract.read() == facts_of(PROMISED)
