"""What is wrong with a provider manifest, and on which line. Pure. (command line contract 9)"""

from dataclasses import dataclass

import yaml

from dipeo_executor.formats.positions import Positions, YamlPositions, mark_of
from dipeo_executor.providers import manifest
from dipeo_executor.providers.manifest import Manifest, ManifestInvalid


@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    field: str = ""  # dotted
    line: int = 0  # from 1; 0 = unknown
    column: int = 0


def check(text: str, name: str) -> Manifest | list[Problem]:
    """The manifest in a file called `name`, or every reason why it cannot be used."""
    try:
        positions = _positions(text)
    except yaml.MarkedYAMLError as error:
        line, column = mark_of(error.problem_mark)
        return [Problem(f"the file is not YAML: {error.problem}", "", line, column)]
    try:
        return manifest.parse(text, name)
    except ManifestInvalid as error:
        return [Problem(words, ".".join(map(str, place)), *positions.of(place)) for place, words in error.problems]


def _positions(text: str) -> Positions:
    """JSON is YAML, too."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    return YamlPositions(node) if node else Positions()
