"""The GraphQL schema as text, docs/schema.graphql: what every client, of this release or an earlier one, may rely on.

`python -m dipeo_gateway.reference docs/schema.graphql` brings it up to date, and refuses a change that would break a
client; with --check it only says whether it is. `make protos` and `make lint` call it.
"""

import sys
from pathlib import Path

from graphql import GraphQLSchema, build_schema, find_breaking_changes

from dipeo_gateway import schema

HEAD = "# Made by `make protos`. Fields and optional arguments may be added; nothing may go or become required.\n"


def text() -> str:
    return f"{HEAD}\n{schema.build_schema(introspection=True).as_str()}\n"


def broken(promised: str, found: str) -> list[str]:
    """What an earlier client would miss, a sentence each."""
    return [change.description for change in find_breaking_changes(_parsed(promised), _parsed(found))]


def _parsed(sdl: str) -> GraphQLSchema:
    return build_schema(sdl, assume_valid_sdl=True)


def main(file: Path, *, only_check: bool) -> int:
    promised, found = file.read_text(), text()
    if lost := broken(promised, found):
        print("an earlier client would not be understood:", *lost, sep="\n  ", file=sys.stderr)
        return 1
    if only_check and promised != found:
        print(f"stale: {file}; run `make protos`", file=sys.stderr)
        return 1
    if not only_check:
        file.write_text(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), only_check="--check" in sys.argv))
