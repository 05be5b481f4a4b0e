"""Start here: settings -> sandbox -> store session -> server -> wait for SIGTERM."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from dipeo_executor.compute import connected
from dipeo_executor.executions import Executions, House
from dipeo_executor.files import ProjectFiles
from dipeo_executor.http import Outgoing
from dipeo_executor.journal import open_journal
from dipeo_executor.llm import genai
from dipeo_executor.llm.keys import EnvKeys, FirstOf
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.prices import load as load_prices
from dipeo_executor.model_list import ModelLists
from dipeo_executor.sandbox import Sandbox, close_own_memory
from dipeo_executor.service import ExecutorService
from dipeo_executor.session import Session
from dipeo_executor.settings import Settings
from dipeo_executor.stored_keys import StoredKeys
from dipeo_executor.workspaces import Workspaces
from dipeo_kit import logs, process, rpc, telemetry
from dipeo_kit.errors import DipeoError
from dipeo_kit.settings import environment
from dipeo_protos.executor.v1 import executor_pb2_grpc
from dipeo_protos.store.v1 import store_pb2_grpc

SERVICE_NAME = "dipeo.executor.v1.ExecutorService"


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """The executor service; yields the address it listens on. Code workers start first: they must not inherit gRPC."""
    settings.identify()
    workspaces = Workspaces(settings.workspaces, keep_days=settings.workspace_days) if settings.remote else None
    base = workspaces.nothing if workspaces else settings.base_dir.resolve()
    async with AsyncExitStack() as stack:
        close_own_memory()
        limits, access = settings.code_limits(), settings.code_access()

        def sandbox_of(folder: Path) -> Sandbox:
            return Sandbox(folder, python=settings.python, node=settings.node, limits=limits, access=access)

        sandbox = await stack.enter_async_context(sandbox_of(base))
        cluster = await stack.enter_async_context(connected(settings.compute, base)) if settings.compute else None
        channel = await stack.enter_async_context(rpc.open_channel(settings.store))
        store: store_pb2_grpc.StoreServiceAsyncStub = store_pb2_grpc.StoreServiceStub(channel)
        journal = await stack.enter_async_context(open_journal(store, give_up_s=settings.store_lost_s))
        env = environment()
        keys = StoredKeys(store, lambda: executions.session_id)
        http = Outgoing(allow_private=settings.allow_private_network, env=env, stored_key=keys.by_reference)
        stack.push_async_callback(http.aclose)
        models = Models(
            env,
            FirstOf([keys, EnvKeys(env)]),
            timeout_s=settings.model_timeout_s,
            at_once=settings.model_calls,
            per_minute=settings.model_calls_per_minute,
        )
        stack.push_async_callback(models.aclose)
        content = env.get(genai.CAPTURE_VARIABLE, "").lower() == "true"
        prices = load_prices(settings.prices_file)
        house = House(
            store, journal, ProjectFiles(base), sandbox, workspaces, sandbox_of, cluster, http, models, prices,
            settings.capacity, content,
        )  # fmt: skip
        executions = Executions(house)
        session = asyncio.create_task(Session(executions, version("dipeo-executor")).run(), name="session")
        stack.push_async_callback(_cancelled, session)
        service = ExecutorService(executions, base, keys, ModelLists(env, keys, http))
        address = await stack.enter_async_context(
            rpc.serve(
                settings.listen,
                lambda server: executor_pb2_grpc.add_ExecutorServiceServicer_to_server(service, server),
                service_names=[SERVICE_NAME],
                reflect=settings.reflection,
            )
        )
        yield address


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _serve_until_stopped(settings: Settings) -> None:
    async with running(settings) as address:
        logs.get(__name__).info("executor.ready", address=address)
        await process.wait_for_stop()


def main() -> None:
    settings = Settings.load()
    logs.configure(settings.log_level, service="executor")
    try:
        with telemetry.exporting("dipeo-executor"):
            asyncio.run(_serve_until_stopped(settings))
    except DipeoError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
