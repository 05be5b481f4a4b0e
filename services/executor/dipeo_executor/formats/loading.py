"""Text in any format -> diagram, or the reasons why not."""

from dipeo_executor.formats import light, native, readable
from dipeo_executor.formats.detect import Format, asked_format, format_of_content
from dipeo_executor.formats.diagnostics import Report, shown
from dipeo_executor.formats.document import parse
from dipeo_executor.formats.model import Diagram

READERS = {"light": light.read, "native": native.read, "readable": readable.read}


def load(text: str, *, path: str = "", flag: str = "", report: Report) -> tuple[Diagram | None, Format | None]:
    """The diagram, as far as it can be read, and its format. Problems go into the report, all of them."""
    chosen = asked_format(flag, path, report)
    if report.has_errors:
        return None, chosen
    document = parse(text, path, report, json_only=chosen == "native")
    if document is None:
        return None, chosen
    if not isinstance(document.value, dict):
        empty = document.value is None
        what = "the file is empty" if empty else f"this is no diagram but the value {shown(document.value)}"
        report.add("L3", what, suggestion="a diagram is a map with nodes and connections")
        return None, chosen
    chosen = chosen or format_of_content(document.value)
    if chosen is None:
        report.add("L4", "cannot tell the diagram format", suggestion="begin the file with version: light")
        return None, None
    return READERS[chosen](document.value, report), chosen
