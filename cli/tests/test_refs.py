from typing import Any, cast

import pytest

from dipeo_cli import refs
from dipeo_cli.client import Gateway
from dipeo_cli.errors import CliError, NotFound

FULL = "exec_" + "a" * 32


class Listing:
    """A gateway that knows three executions, newest first."""

    ids = (FULL, "exec_" + "b" * 32, "exec_b0" + "c" * 30)

    def list_executions(self, *, limit: int, filter: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        prefix = (filter or {}).get("id_prefix", "")
        return [{"id": each} for each in self.ids if each.startswith(prefix)][:limit]


def resolve(reference: str) -> str:
    return refs.resolve(reference, cast(Gateway, Listing()))


def test_full_ids_prefixes_and_last_are_understood() -> None:
    assert resolve(FULL) == FULL
    assert resolve("exec_aaaaaa") == resolve("aaaaaa") == resolve("@last") == FULL
    assert resolve("@last~1") == Listing.ids[1]


@pytest.mark.parametrize("reference", ["exec_abc", "abc", "exec_XYZXYZ", "@first", "", "exec_" + "a" * 33])
def test_other_words_are_refused_without_asking(reference: str) -> None:
    with pytest.raises(refs.BadReference, match="Invalid session_id format"):
        refs.check(reference)


def test_what_does_not_exist_is_not_found() -> None:
    for reference in ("exec_ffffff", "@last~3"):
        with pytest.raises(NotFound, match="Execution not found"):
            resolve(reference)


def test_a_prefix_of_several_is_refused() -> None:
    Listing.ids = (*Listing.ids, "exec_" + "b" * 31 + "c")
    with pytest.raises(CliError, match="several"):
        resolve("bbbbbb")
