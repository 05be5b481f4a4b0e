"""One table for every edge (spec/gateway.md §13.3)."""

import grpc
import pytest

from dipeo_kit import errors


def subclasses(kind: type) -> set[type]:
    return {kind, *(found for sub in kind.__subclasses__() for found in subclasses(sub))}


def test_every_error_of_the_kit_has_a_row():
    kinds = {kind for kind in subclasses(errors.DipeoError) if kind.__module__ == errors.__name__}
    assert kinds - {errors.DipeoError} == {row.error for row in errors.TABLE}


@pytest.mark.parametrize("row", errors.TABLE, ids=lambda row: row.error.__name__)
def test_an_error_survives_the_wire(row: errors.Row):
    assert hasattr(grpc.StatusCode, row.grpc_status)
    back = errors.from_status(row.grpc_status, "words", "DIAGRAM_INVALID" if row.error is errors.DiagramInvalid else "")
    assert type(back) is row.error and str(back) == "words"


def test_the_most_specific_row_wins_and_the_unexpected_is_internal():
    assert errors.row_of(errors.DiagramInvalid("x")).graphql_code == "DIAGRAM_INVALID"
    assert errors.row_of(ValueError("x")).error is errors.Internal


@pytest.mark.parametrize(
    ("code", "exit_code"), [("NOT_FOUND", 1), ("BAD_INPUT", 2), ("UNAVAILABLE", 3), ("FORBIDDEN", 4), ("?", 3)]
)
def test_exit_codes_follow_the_table(code: str, exit_code: int):
    assert errors.exit_code_of(code) == exit_code
