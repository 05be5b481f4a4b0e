"""The executions this process runs: begun here, taken over from a lost executor, reached by signals."""

import asyncio
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from random import SystemRandom
from typing import Any

from dipeo_executor import observed, values, wire
from dipeo_executor import options as run_options
from dipeo_executor.bundle import Bundle
from dipeo_executor.compiler import compile_bundle
from dipeo_executor.compute import Cluster
from dipeo_executor.engine import events as ev
from dipeo_executor.engine.state import State, new_state
from dipeo_executor.engine.transitions import apply
from dipeo_executor.errors import AppendRefused, StoreLost
from dipeo_executor.files import ProjectFiles
from dipeo_executor.http import Outgoing
from dipeo_executor.journal import Journal
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.prices import Prices
from dipeo_executor.options import Options
from dipeo_executor.own_sandbox import OwnSandbox
from dipeo_executor.program import Program
from dipeo_executor.runner import Claim, Run, RunWorkers, Tools
from dipeo_executor.sandbox import Sandbox
from dipeo_executor.workspaces import Workspaces
from dipeo_kit import logs, rpc
from dipeo_kit.errors import Conflict, DipeoError
from dipeo_kit.skew import OLDER
from dipeo_protos.store.v1 import store_pb2, store_pb2_grpc

log = logs.get(__name__)

JOURNAL_FULL = "JOURNAL_FULL"
UPGRADE_S = 5.0  # between two tries of a run that needs a service of a later release
MISTAKES = frozenset({"TRANSITION", "TOO_LARGE", "INVALID"})  # refusals that another try would meet again
RECOVERY_S = 30.0  # for reading one journal

EXECUTOR = f"{socket.gethostname()}/{getpid()}"


@dataclass(frozen=True, slots=True)
class House:
    """What all executions of this process share."""

    store: "store_pb2_grpc.StoreServiceAsyncStub"
    journal: Journal
    files: ProjectFiles
    sandbox: Sandbox
    workspaces: Workspaces | None  # None = runs work in the project itself
    sandbox_of: Callable[[Path], Sandbox]
    cluster: Cluster | None  # None = code runs here
    http: Outgoing
    models: Models
    prices: Prices
    capacity: int
    trace_content: bool = False  # prompts and answers in spans


class Executions:
    """At most `capacity` runs at a time; the rest wait in the store's queue."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session_id = ""  # "" = no session: nothing can be claimed
        self.on_free: Callable[[], None] = lambda: None
        self.on_release: Callable[[Claim], None] = lambda _: None  # a run that stopped here goes to somebody else
        self._runs: dict[str, tuple[Run | None, asyncio.Task[None]]] = {}
        self._early: dict[str, list[store_pb2.Signal]] = {}  # signals that came before their run was created or rebuilt

    @property
    def free_slots(self) -> int:
        return max(0, self.house.capacity - len(self._runs)) if self.session_id else 0

    @property
    def held(self) -> Collection[str]:
        return self._runs.keys()

    def begin(
        self,
        claim: Claim,
        program: Program,
        variables: Mapping[str, Any],
        options: Options,
        parent: str,
        workspace: Path | None = None,
    ) -> None:
        """Run a new execution. `parent`: traceparent of the request. `workspace`: where it works, if not in BASE."""
        state = new_state(program, variables, options.limits)
        run = Run(claim, state, options, self._tools(claim.execution_id, program, options, workspace))
        first = [ev.RunStarted(EXECUTOR, SystemRandom().getrandbits(63))]
        self._spawn(claim.execution_id, run, self._drive(run, first, parent))
        for signal in self._early.pop(claim.execution_id, []):
            run.signal(signal)

    def take(self, work: store_pb2.Work) -> None:
        """Run an execution from the queue, or go on with one that another executor lost."""
        claim = Claim(work.execution_id, work.fence, work.head_seq)
        _, before = self._runs.get(claim.execution_id, (None, None))
        self._spawn(claim.execution_id, None, self._recover(claim, before))

    def signal(self, signal: store_pb2.Signal) -> None:
        run, _ = self._runs.get(signal.execution_id, (None, None))
        if run is not None:
            run.signal(signal)
        else:
            self._early.setdefault(signal.execution_id, []).append(signal)

    async def workspace(self, execution_id: str, bundle: Bundle) -> Path | None:
        """The folder a run works in, made if need be; None = the project itself. Raises NotFound, Conflict."""
        if bundle.uploads is None:
            return None
        if self.house.workspaces is None:
            raise Conflict(f"{execution_id} works on files of a client; that needs DIPEO_EXECUTOR_REMOTE=1")
        return await asyncio.to_thread(self.house.workspaces.make, execution_id, bundle.uploads)

    async def drop(self) -> None:
        """Stop running everything, without a word to the journal: others will go on with it."""
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._early.clear()

    def _spawn(self, execution_id: str, run: Run | None, work: Any) -> None:
        task = asyncio.create_task(work, name=execution_id)
        self._runs[execution_id] = (run, task)
        self._tell()

        def ended(done: asyncio.Task[None]) -> None:
            if self._runs.get(execution_id, (None, None))[1] is done:
                del self._runs[execution_id]
                self._early.pop(execution_id, None)
                self._tell()
                self.on_free()

        task.add_done_callback(ended)

    def _tell(self) -> None:
        observed.held.set(len(self._runs))
        observed.slots.set(self.free_slots)

    def _tools(self, execution_id: str, program: Program, options: Options, workspace: Path | None) -> Tools:
        house = self.house
        files = house.files if workspace is None else ProjectFiles(workspace)
        workers = self._workers(execution_id, workspace)
        if not options.mock_llm:
            # provider SDKs take seconds to import: begun now, in a thread, before the first call needs them
            asyncio.get_running_loop().run_in_executor(None, house.models.preload, list(program.persons.values()))
        return Tools(
            house.journal, files, workers, house.models, house.prices, house.http,
            EXECUTOR, house.trace_content,
        )  # fmt: skip

    def _workers(self, execution_id: str, workspace: Path | None) -> RunWorkers:
        house = self.house
        if house.cluster is not None:
            return house.cluster.workers(execution_id, workspace)
        if workspace is not None:
            return OwnSandbox(lambda: house.sandbox_of(workspace), execution_id, house.sandbox.slots)
        return house.sandbox.workers(execution_id)

    async def _drive(self, run: Run, first: Sequence[ev.Event], parent: str) -> None:
        """The boundary around a run: whatever happens inside, the journal gets an end or somebody else the run."""
        execution_id = run.claim.execution_id
        try:
            with observed.run(execution_id, run.state, parent) as run.trace_parent:
                await run.drive(first)
        except (AppendRefused, StoreLost) as error:
            log.warning("run.lost", execution_id=execution_id, reason=error.reason, error=str(error))
            if error.reason == JOURNAL_FULL:
                await run.give_up(str(error), type="JournalFull", code="journal_full")
            elif error.reason in MISTAKES:
                await run.give_up(f"internal error: {error}")
            await self._let_go(run.claim, error)
        except Exception as error:
            log.exception("run.crashed", execution_id=execution_id)
            await run.give_up(f"internal error: {error}")
            self.on_release(run.claim)
        finally:
            await run.tools.workers.close()

    async def _recover(self, claim: Claim, before: "asyncio.Task[None] | None") -> None:
        """Go on from the journal, after what this process itself still ran of it has stopped."""
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        try:
            run, first, parent = await self._rebuilt(claim)
        except DipeoError as error:  # no store, or no longer ours
            log.warning("run.lost", execution_id=claim.execution_id, reason=error.reason, error=str(error))
            await self._let_go(claim, error)
            return
        except Exception as error:
            log.exception("run.not_recovered", execution_id=claim.execution_id)
            message = f"it cannot be continued after a crash: {error}"
            journal, seq = self.house.journal, claim.head_seq
            await journal.give_up(claim.execution_id, fence=claim.fence, expected_seq=seq, message=message)
            self.on_release(claim)
            return
        self._runs[claim.execution_id] = (run, self._runs[claim.execution_id][1])
        for signal in self._early.pop(claim.execution_id, []):
            run.signal(signal)
        await self._drive(run, first, parent)

    async def _let_go(self, claim: Claim, error: DipeoError) -> None:
        """For another executor, or this one, to take again; in the middle of an upgrade not at once."""
        if error.reason == OLDER:
            await asyncio.sleep(UPGRADE_S)
        self.on_release(claim)

    async def _rebuilt(self, claim: Claim) -> tuple[Run, list[ev.Event], str]:
        """(the run as its journal left it, the events it goes on with, its trace). Raises DipeoError."""
        with rpc.translated():
            request = store_pb2.LoadForRecoveryRequest(execution_id=claim.execution_id, fence=claim.fence)
            pages = [
                page
                async for page in self.house.store.LoadForRecovery(request, metadata=rpc.metadata(), timeout=RECOVERY_S)
            ]
        header = pages[0].header
        options = run_options.from_json(header.execution.options_json)
        bundle = Bundle.from_bytes(header.source)
        program = compile_bundle(bundle).program
        if program is None:
            raise ValueError(f"{claim.execution_id}: its diagram no longer compiles with this release")
        state = new_state(program, values.decode(header.execution.variables_json or b"{}"), options.limits)
        workspace = await self.workspace(claim.execution_id, bundle)
        run = Run(claim, state, options, self._tools(claim.execution_id, program, options, workspace))
        names = wire.Names(program)
        stored_events = [stored for page in pages for stored in page.events]
        taken_over = stored_events[0].execution_created.taken_over  # by a retry: that time was spent by another run
        for stored in stored_events:
            event = wire.from_pb(stored, names)
            if event is None:
                continue
            apply(state, event)
            if stored.seq > 1 + taken_over:
                run.budget.observe(wire.seconds(stored.at), ticking=state.ticking)
        for signal in header.signals:
            run.signal(signal)
        return run, resumption(state, header.execution), header.execution.trace_parent


def resumption(state: State, execution: store_pb2.Execution) -> list[ev.Event]:
    """How a run goes on after replay: begun if it never was, else interrupted node runs get their next attempt (I7)."""
    if not state.started:
        return [ev.RunStarted(EXECUTOR, SystemRandom().getrandbits(63))]
    again = [
        ev.NodeRetrying(frame.path_of(index), run.iteration, run.attempt + 1, "executor_lost")
        for frame in state.frames.values()
        for index, run in frame.running.items()
        if frame.node(index).child is None
    ]
    recovered = [ev.RunRecovered(EXECUTOR, execution.attempts, 0)] if execution.attempts > 1 else []  # else: a retry
    return [*recovered, *again]
