"""What all requests share, and the one place that starts and stops it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dipeo_kit import errors, logs
from dipeo_mcp import redact
from dipeo_mcp.backend import Backend, connected
from dipeo_mcp.catalogue import Catalogue, StoreCatalogue
from dipeo_mcp.cursors import Cursors
from dipeo_mcp.errors import Busy
from dipeo_mcp.limits import Limits, Window
from dipeo_mcp.live import Lives
from dipeo_mcp.notices import Notices
from dipeo_mcp.principals import Principal
from dipeo_mcp.published import Published
from dipeo_mcp.settings import Settings
from dipeo_protos.store.v1 import store_pb2

log = logs.get(__name__)

VERSION = version("dipeo-mcp")
# code, shell and files: what an operator has to allow before strangers may run it (S10)
RISKY_NODES = frozenset({"code_job", "db", "diff_patch", "hook", "ir_builder", "template_job", "typescript_ast"})


@dataclass(slots=True)
class Service:
    """`joined`: principal and idempotency key → execution, of runs that are still followed."""

    settings: Settings
    limits: Limits
    backend: Backend
    published: Published
    lives: Lives
    notices: Notices
    redactor: redact.Redactor
    starts: Window
    joined: dict[tuple[str, str], str]
    cursors: Cursors

    def refused_nodes(self, node_types: frozenset[str]) -> list[str]:
        """Node types of a diagram that may not run here."""
        risky = node_types & RISKY_NODES
        if not risky or (self.settings.allow_nodes is None and not self.settings.is_exposed):
            return []
        return sorted(risky - set(self.settings.allow_nodes or ()))

    def admit(self, principal: Principal) -> None:
        """Raises Busy when the principal starts too many runs, or has too many going."""
        runs = self.settings.max_concurrent_runs
        if self.lives.busy(principal.id) >= runs:
            raise Busy(f"{runs} of your runs are going on; wait for one, or cancel it")
        if self.lives.busy() >= max(self.limits.runs_total, 2 * runs):
            raise Busy("too many runs are going on here; try again later")
        if not principal.is_local:
            self.starts.hit(principal.id, "starting runs")

    async def own_execution(
        self, principal: Principal, execution_id: str, *, details: bool = True
    ) -> store_pb2.GetExecutionResponse:
        """Raises NotFound for one that does not exist and, in the same words, for one of somebody else."""
        missing = errors.NotFound("no execution with this id")
        try:
            found = await self.backend.execution(execution_id, details=details)
        except (errors.NotFound, errors.BadInput):
            raise missing from None
        if not principal.sees(found.execution.principal):
            raise missing
        return found

    async def messages(self, execution_id: str) -> list[store_pb2.Message]:
        found: list[store_pb2.Message] = []
        token = ""
        while True:
            request = store_pb2.ListMessagesRequest(execution_id=execution_id, page_size=1000, page_token=token)
            page = await self.backend.store.read(self.backend.store.rpc.ListMessages, request)
            found += page.messages
            token = page.next_page_token
            if not token:
                return found


@asynccontextmanager
async def serving(
    settings: Settings, *, catalogue: Catalogue | None = None, limits: Limits | None = None
) -> AsyncIterator[Service]:
    """The service without its transports. `catalogue`: instead of the store's."""
    limits = limits or Limits()
    async with connected(settings.store, settings.executor) as backend:
        notices = Notices()
        lives = Lives(backend, notices.watch)
        published = Published(backend, catalogue or StoreCatalogue(backend), notices.catalogue_changed)
        redactor = redact.Redactor([*redact.of_environment(), *_secrets(settings)])
        keys = [key.get_secret_value() for key in settings.state_keys]
        service = Service(
            settings=settings,
            limits=limits,
            backend=backend,
            published=published,
            lives=lives,
            notices=notices,
            redactor=redactor,
            starts=Window(limits.starts_per_min),
            joined={},
            cursors=Cursors((keys[0] if keys else secrets.token_hex(32)).encode()),
        )
        try:
            await published.refresh()
        except errors.DipeoError as error:
            log.warning("mcp.catalogue_silent", error=str(error))
        keeper = asyncio.create_task(published.keep_fresh(), name="catalogue")
        try:
            yield service
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await lives.close()
            await notices.close()


def _secrets(settings: Settings) -> list[str]:
    given: Mapping[str, Any] = settings.model_dump()
    texts = [value.get_secret_value() for value in given.values() if hasattr(value, "get_secret_value")]
    texts += [key.get_secret_value() for key in settings.state_keys]
    return [part for text in texts for part in (text, *text.replace(":", ",").split(",")) if part]
