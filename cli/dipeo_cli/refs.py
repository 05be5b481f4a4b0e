"""How people name an execution: the full id, a unique prefix, @last, @last~N (spec/cli.md §2.1)."""

import re
from typing import TYPE_CHECKING

from dipeo_cli.errors import CliError, NotFound

if TYPE_CHECKING:
    from dipeo_cli.client import Gateway

_FULL = re.compile(r"exec_[0-9a-f]{32}")
_PREFIX = re.compile(r"(?:exec_)?([0-9a-f]{6,32})")
_LAST = re.compile(r"@last(?:~(\d+))?")


class BadReference(CliError):
    """No execution can be named like this."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"Invalid session_id format: {reference}",
            code="bad_input",
            exit_code=1,
            hint="use exec_ + 32 hex digits, its first 6 or more digits, @last or @last~N",
        )


def check(reference: str) -> None:
    """Raises BadReference when it cannot name an execution; asks nobody."""
    if not any(form.fullmatch(reference) for form in (_FULL, _PREFIX, _LAST)):
        raise BadReference(reference)


def resolve(reference: str, gateway: "Gateway") -> str:
    """The full id. Raises BadReference, NotFound, or CliError when a prefix fits several."""
    check(reference)
    if _FULL.fullmatch(reference):
        return reference
    if last := _LAST.fullmatch(reference):
        back = int(last[1] or 0)
        newest = gateway.list_executions(limit=back + 1)
        if len(newest) <= back:
            raise NotFound(f"Execution not found: {reference}", context={"session_id": reference})
        return str(newest[back]["id"])
    prefix = _PREFIX.fullmatch(reference)
    assert prefix is not None
    found = [str(each["id"]) for each in gateway.list_executions(limit=3, filter={"id_prefix": f"exec_{prefix[1]}"})]
    if not found:
        raise NotFound(f"Execution not found: {reference}", context={"session_id": reference})
    if len(found) > 1:
        raise CliError(
            f"{reference} fits several executions: {', '.join(found)}", code="bad_input", exit_code=1, hint="add digits"
        )
    return found[0]


def short(execution_id: str, digits: int = 12) -> str:
    """Enough of an id to name it again: UUIDv7 begins with the time, its end is what differs."""
    return execution_id[: len("exec_") + digits]
