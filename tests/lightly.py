"""Light diagrams from their lines."""

import textwrap


def light(nodes: str, connections: str, persons: str = "") -> str:
    """A light diagram from its node and connection lines."""
    text = f"version: light\nnodes:\n{textwrap.indent(textwrap.dedent(nodes).strip(), '  ')}\nconnections:\n"
    text += textwrap.indent(textwrap.dedent(connections).strip(), "  ") + "\n"
    if persons:
        text += f"persons:\n{textwrap.indent(textwrap.dedent(persons).strip(), '  ')}\n"
    return text
