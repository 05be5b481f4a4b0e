"""A store and an executor as they run in production, on unix sockets in a temporary folder, in this process."""

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipeo_executor import main as executor_main
from dipeo_executor.settings import Settings as ExecutorSettings
from dipeo_kit import rpc
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc
from dipeo_store import main as store_main
from dipeo_store.settings import Settings as StoreSettings

STATUS = {number: name.removeprefix("EXECUTION_STATUS_").lower() for name, number in store_pb2.ExecutionStatus.items()}


@dataclass(frozen=True)
class Finished:
    """One execution, seen through its journal."""

    execution_id: str
    execution: store_pb2.Execution
    events: list[events_pb2.Event]
    node_runs: list[store_pb2.NodeRun]

    @property
    def status(self) -> str:
        return STATUS[self.execution.status]

    @property
    def result(self) -> Any:
        return json.loads(self.execution.result_json)

    @property
    def labels(self) -> list[str]:
        """Labels of the node runs, in start order."""
        return [event.node_started.label for event in self.events if event.HasField("node_started")]

    def output(self, label: str) -> Any:
        """What the last run of a node produced."""
        run = [run for run in self.node_runs if run.label == label and run.output_json][-1]
        return json.loads(run.output_json)


@dataclass
class House:
    """Both services and a client of each."""

    base: Path
    executor: "executor_pb2_grpc.ExecutorServiceAsyncStub"
    store: "store_pb2_grpc.StoreServiceAsyncStub"
    store_address: str

    async def submit(
        self,
        text: str,
        *,
        variables: Mapping[str, Any] | None = None,
        path: str = "",
        format: str = "FORMAT_LIGHT",
        **options: Any,
    ) -> executor_pb2.SubmitResponse:
        options.setdefault("mock_llm", True)
        request = executor_pb2.SubmitRequest(
            source=diagram_pb2.Source(text=text, path=path, format=diagram_pb2.Format.Value(format)),
            variables_json=json.dumps(variables or {}).encode(),
            options=executor_pb2.RunOptions(**options),
            origin="test",
        )
        return await rpc.call(self.executor.Submit, request)

    async def run(self, text: str, **how: Any) -> Finished:
        """Submit and follow to the end. An invalid diagram fails the test with its diagnostics."""
        submitted = await self.submit(text, **how)
        assert submitted.execution_id, [str(it) for it in submitted.diagnostics]
        return await self.follow(submitted.execution_id)

    async def follow(self, execution_id: str) -> Finished:
        events = [event async for event in self.watch(execution_id)]
        request = store_pb2.GetExecutionRequest(execution_id=execution_id, include_node_runs=True)
        found = await rpc.call(self.store.GetExecution, request)
        return Finished(execution_id, found.execution, events, list(found.node_runs))

    async def watch(self, execution_id: str, after_seq: int = 0) -> AsyncIterator[events_pb2.Event]:
        request = store_pb2.WatchRequest(execution_id=execution_id, after_seq=after_seq)
        async for response in self.store.Watch(request):
            for event in response.events:
                yield event

    async def abort(self, execution_id: str, signal_id: str = "a" * 32) -> None:
        abort = store_pb2.Abort(reason="enough", principal="test")
        await rpc.call(
            self.store.PostSignal,
            store_pb2.PostSignalRequest(execution_id=execution_id, signal_id=signal_id, abort=abort),
        )

    async def retry(self, execution_id: str, from_node: str = "") -> str:
        """The id of the new execution."""
        request = executor_pb2.RetryRequest(execution_id=execution_id, from_node=from_node)
        return (await rpc.call(self.executor.Retry, request)).execution_id

    async def answer(self, execution_id: str, node: str, response: str) -> store_pb2.Interaction:
        request = store_pb2.AnswerInteractionRequest(execution_id=execution_id, node_id=node, response=response)
        return (await rpc.call(self.store.AnswerInteraction, request)).interaction


@asynccontextmanager
async def house(base: Path, *, inprocess: bool = False, **executor: Any) -> AsyncIterator[House]:
    """Start both and stop them at the end. `inprocess` leaves the sockets between them out, as the local stack does."""
    via = rpc.INPROCESS if inprocess else ""
    async with AsyncExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dipeo")))  # unix paths are short
        store_settings = StoreSettings(url=f"sqlite:///{base}/state.db", listen=f"unix:{sockets}/store.sock")
        store_address = await stack.enter_async_context(store_main.running(store_settings))
        executor_settings = ExecutorSettings(
            listen=f"unix:{sockets}/executor.sock", store=via + store_address, base_dir=base, **executor
        )
        executor_address = await stack.enter_async_context(executor_main.running(executor_settings))
        store_channel = await stack.enter_async_context(rpc.open_channel(via + store_address))
        executor_channel = await stack.enter_async_context(rpc.open_channel(via + executor_address))
        yield House(
            base,
            executor_pb2_grpc.ExecutorServiceStub(executor_channel),
            store_pb2_grpc.StoreServiceStub(store_channel),
            store_address,
        )
