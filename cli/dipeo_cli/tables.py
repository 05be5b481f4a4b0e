"""Columns and spans of time, as people read them in a terminal. Pure."""

from collections.abc import Sequence

from dipeo_cli import cells


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows of equal length, each column as wide as its widest cell; `right`: columns aligned to the right."""
    rows = [[cells.one_line(cell) for cell in row] for row in rows]
    widths = [max(cells.width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cells.right(cell, width) if column in right else cells.left(cell, width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def span(seconds: float) -> str:
    """1.4s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(seconds, 0):.1f}s"
