from dipeo_cli import diagnostics

NO_START = {
    "phase": "VALIDATION",
    "code": "V4",
    "severity": "error",
    "message": "the diagram has no start node",
    "line": 2,
    "suggestion": "add a node with type: start",
}
NO_BRANCH = {
    "phase": "VALIDATION",
    "code": "V12",
    "severity": "warning",
    "message": 'condition "Enough?" has no false branch',
    "line": 14,
    "column": 3,
}


def test_problems_are_shown_with_place_and_help() -> None:
    assert diagnostics.text([NO_START], [NO_BRANCH], "flows/report.light.yaml") == "\n".join(
        [
            "error[V4]: the diagram has no start node",
            "  --> flows/report.light.yaml:2",
            "  help: add a node with type: start",
            'warning[V12]: condition "Enough?" has no false branch',
            "  --> flows/report.light.yaml:14:3",
            "1 error, 1 warning",
        ]
    )


def test_brief_lines_are_those_of_the_original() -> None:
    assert diagnostics.brief([NO_START]) == ["   [VALIDATION] the diagram has no start node"]
