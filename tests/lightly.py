"""Light diagrams from their lines."""

import textwrap


def light(nodes: str, connections: str, persons: str = "") -> str:
    """A light diagram from its node and connection lines."""
    text = f"version: light\nnodes:\n{textwrap.indent(textwrap.dedent(nodes).strip(), '  ')}\nconnections:\n"
    text += textwrap.indent(textwrap.dedent(connections).strip(), "  ") + "\n"
    if persons:
        text += f"persons:\n{textwrap.indent(textwrap.dedent(persons).strip(), '  ')}\n"
    return text


SUM = light(
    """
    - {label: Start, type: start}
    - {label: Sum, type: code_job, code: "result = 2 + 3"}
    - {label: Done, type: endpoint}
    """,
    "- {from: Start, to: Sum}\n- {from: Sum, to: Done}",
)  # 5
