"""The service with the suite's fixtures, on loopback and without authentication: the suite cannot send credentials.

python serve.py PORT      prints its URL once it serves; ends at SIGTERM
"""

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[3] / "tests")]

from command import chain  # noqa: E402
from fixtures import FixtureHandlers, FixtureTasks  # noqa: E402
from mcp_house import place  # noqa: E402

from dipeo_kit import logs, process  # noqa: E402
from dipeo_mcp import server  # noqa: E402
from dipeo_mcp.limits import Limits  # noqa: E402
from dipeo_mcp.service import Service  # noqa: E402
from dipeo_mcp.task_methods import UpdateParams  # noqa: E402

SLOW = """version: light
nodes:
  - {label: Start, type: start, trigger_mode: manual, custom_data: {seconds: 0}}
  - label: Nap
    type: code_job
    language: python
    code: |
      import time
      time.sleep(float(seconds))
      result = f"slept {seconds} s"
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Nap}
  - {from: Nap, to: Done}
"""
GREETING = SLOW.replace("{seconds: 0}", "{name: nobody}").replace(
    'time.sleep(float(seconds))\n      result = f"slept {seconds} s"',
    'time.sleep(1)\n      result = f"Hello, {name}!"',
)
BOTH = """version: light
nodes:
  - {label: Start, type: start}
  - {label: First, type: user_response, prompt: First?}
  - {label: Second, type: user_response, prompt: Second?}
  - {label: Join, type: code_job, language: python, code: "result = f'{first} {second}'"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: First}
  - {from: Start, to: Second}
  - {from: First, to: Join, label: first}
  - {from: Second, to: Join, label: second}
  - {from: Join, to: Done}
"""
FAILING = chain("{label: Boom, type: code_job, language: bash, code: 'sleep 1; exit 3'}")
DIAGRAMS = {
    "slow_compute": SLOW,
    "greeting_later": GREETING,
    "failing_job": FAILING,
    "confirm_delete": chain("{label: Sure, type: user_response, prompt: Really delete it?}"),
    "multi_input": BOTH,
}


async def main(port: int) -> None:
    ours = server.build

    def build(service: Service) -> server.DipeoServer:
        built = ours(service, FixtureHandlers(service))
        built.add_request_handler("tasks/update", UpdateParams, FixtureTasks(service).update)
        return built

    server.build = build  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        limits = Limits(runs_total=1000)
        base = Path(folder)
        async with place(base, limits=limits, diagrams=DIAGRAMS, port=port, max_concurrent_runs=500) as there:
            print(there.url, flush=True)
            await process.wait_for_stop()


if __name__ == "__main__":
    logs.configure("WARNING", service="mcp")
    asyncio.run(main(int(sys.argv[1])))
