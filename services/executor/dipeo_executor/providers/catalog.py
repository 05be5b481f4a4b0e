"""Which providers there are: those of the project's integrations folder, and the ones that come with us. (20.1)"""

from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources

from dipeo_executor.nodes.base import Files, NodeError
from dipeo_executor.providers import manifest
from dipeo_executor.providers.manifest import Manifest, Operation

PATTERNS = ("integrations/**/provider.yaml", "integrations/**/provider.yml", "integrations/**/provider.json")


class ProviderUnknown(NodeError):
    """No manifest has that name."""


class OperationUnknown(NodeError):
    """The provider has no such operation."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """`problems`: what is wrong with the manifests that could not be read."""

    manifests: dict[str, Manifest]
    problems: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)  # provider -> its manifest in the project; not of ours

    def find(self, provider: str, operation: str) -> tuple[Manifest, Operation]:
        """Raises ProviderUnknown and OperationUnknown, naming those there are."""
        found = self.manifests.get(provider.strip().lower())
        if found is None:
            known = f"there are {', '.join(sorted(self.manifests))}"
            wanted = f'there is no provider "{provider}"' if provider.strip() else "provider is not given"
            broken = f". Not readable: {'; '.join(self.problems)}" if self.problems else ""
            raise ProviderUnknown(f"{wanted}; {known}. Manifests of a project are integrations/*/provider.yaml{broken}")
        if operation not in found.operations:
            wanted = f'{found.name} has no operation "{operation}"' if operation else "operation is not given"
            raise OperationUnknown(f"{wanted}; {found.name} has {', '.join(sorted(found.operations))}")
        return found, found.operations[operation]


def load(files: Files) -> Catalog:
    """Read anew each time, so that an edited manifest counts at once. Of two with one name the project's wins."""
    manifests = dict(_shipped())
    problems: list[str] = []
    places: dict[str, str] = {}
    for name in sorted({name for pattern in PATTERNS for name in files.glob(pattern)}):
        try:
            found = manifest.parse(files.read_text(name), name)
        except NodeError as error:
            problems.append(str(error))
        else:
            manifests[found.name], places[found.name] = found, name
    return Catalog(manifests, tuple(problems), places)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Manifest]:
    folder = resources.files("dipeo_executor.providers") / "shipped"
    texts = [(entry / "provider.yaml").read_text() for entry in folder.iterdir() if entry.is_dir()]
    found = [manifest.parse(text, "provider.yaml") for text in texts]
    return {it.name: it for it in found}
