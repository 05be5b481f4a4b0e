"""What a database keeps beside journals: secrets, the catalogue of diagrams; and the overview of executions."""

from collections.abc import Callable, Iterable
from typing import Protocol

from dipeo_store.model import CatalogEntry, Execution, SealedSecret, Signal


class Content(Protocol):
    """Part of Backend. Times that are written are the database's own."""

    async def session_alive(self, session_id: str) -> bool: ...

    async def overview(self, diagram_id: str, *, seen_us: int | None) -> tuple[list[Execution], int]:
        """Executions (of one diagram, "" = all) that have not ended, or ended since `seen_us` (None = only the former),
        oldest first, at most 2000; and the time to ask with next, a little before now because commits take a while.
        """

    async def pin(self, execution_id: str, pinned: bool) -> Execution:
        """Raises UnknownExecution."""

    async def remove_ended(self, age_us: int) -> int:
        """Executions that ended so long ago and are not pinned, with all that is theirs; a bearable number of them.
        Sources that nothing names any more go too. How many.
        """

    async def empty_logs(self, age_us: int) -> int:
        """The texts of their logs only, once for each execution; a bearable number of them."""

    async def remove_blobs(self, age_us: int) -> int:
        """Blobs so old that nothing refers to, nor is about to; a bearable number of them."""

    async def abort_late(self, grace_us: int) -> list[tuple[Signal, str]]:
        """Leave an abort signal, reason timeout, for what runs `grace_us` beyond its deadline: (signal, holder)."""

    async def fail_hung(self, grace_us: int) -> list[str]:
        """End what got an abort signal so long ago, is beyond its deadline and still has not ended."""

    async def put_blob(self, hash_: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
        """Nothing happens when it is there. `chunks` gives them again when asked again;
        they have blobs.CHUNK_BYTES each but the last."""

    async def blob_size(self, hash_: str) -> int:
        """Raises UnknownBlob."""

    async def blob_chunk(self, hash_: str, number: int) -> bytes:
        """b"" beyond the last."""

    async def put_secret(self, sealed: SealedSecret) -> SealedSecret:
        """Insert, or replace the one of that id, its created_at kept. Raises AlreadyExists: the label is another's."""

    async def secrets(self) -> list[SealedSecret]:
        """Oldest first."""

    async def delete_secret(self, reference: str) -> bool:
        """By id, else by label; False when there is none."""

    async def secret_used(self, secret_id: str) -> None: ...

    async def put_diagram(self, entry: CatalogEntry, *, if_match: int | None) -> tuple[CatalogEntry, bool]:
        """(as stored, whether anything changed). `etag`, `deleted` and `updated_at` of the argument do not count.

        Raises EtagMismatch. Changes get their numbers in the order of their commits.
        """

    async def delete_diagram(self, name: str, *, if_match: int | None) -> bool:
        """False when there is none. Raises EtagMismatch."""

    async def diagram(self, name: str) -> CatalogEntry:
        """Raises UnknownDiagram."""

    async def diagrams(self, *, published_only: bool, after_name: str, limit: int) -> list[CatalogEntry]:
        """By name; without their texts."""

    async def catalog_changes(self, after: int, *, limit: int) -> list[CatalogEntry]:
        """The latest change of each diagram after that revision, deletions too, in order; without their texts."""
