"""Diagram -> text in any format, with every loss named. (spec/formats.md §6)"""

from dataclasses import dataclass

from dipeo_executor.formats import write_light, write_native, write_readable
from dipeo_executor.formats.comparing import differences
from dipeo_executor.formats.detect import Format
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import Diagram

WRITERS = {"light": write_light.write, "native": write_native.write, "readable": write_readable.write}


class NotWritable(ValueError):
    """The format cannot hold a value of the diagram."""


@dataclass(frozen=True, slots=True)
class Converted:
    """`losses`: what reading the text again does not give back, a sentence each."""

    text: str
    losses: tuple[str, ...]


def convert(diagram: Diagram, target: Format) -> Converted:
    """Raises NotWritable."""
    try:
        text = WRITERS[target](diagram)
    except ValueError as error:
        raise NotWritable(f"the diagram cannot be written as {target}: {error}") from error
    report = Report()
    again, _ = load(text, flag=target, report=report)
    broken = [problem.message for problem in report.found if problem.severity == "error"]
    return Converted(text, (*broken, *(differences(diagram, again) if again else ())))
