"""docs/cli.md says what the commands say; help explains topics and commands."""

from pathlib import Path
from typing import Any

import pytest

from dipeo_cli import reference, topics

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def test_the_reference_is_the_one_the_commands_make() -> None:
    same = DOCUMENT.read_text() == reference.markdown()
    assert same, "run `python -m dipeo_cli.reference > docs/cli.md`"


@pytest.mark.parametrize("topic", topics.topics())
def test_every_topic_is_explained_on_one_screen(dipeo: Any, topic: str) -> None:
    told = dipeo("help", topic)
    assert told.returncode == 0
    assert 3 < len(told.stdout.splitlines()) < 40
    assert max(map(len, told.stdout.splitlines())) <= 140


def test_help_of_a_command_and_of_nothing(dipeo: Any) -> None:
    assert "--mock-llm" in dipeo("help", "run").stdout
    assert "Topics: formats" in dipeo("help").stdout
    unknown = dipeo("help", "nonsense")
    assert (unknown.returncode, unknown.stdout) == (2, "")


def test_every_command_explains_itself_and_belongs_to_a_group(dipeo: Any) -> None:
    text = reference.markdown()
    for command in reference.get_command(reference.app).commands.values():  # type: ignore[attr-defined]
        assert command.hidden or command.get_short_help_str(), command.name
        assert command.hidden or f"dipeo {command.name}" in text
