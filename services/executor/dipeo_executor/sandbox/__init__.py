"""Worker processes that run user code. (decision 13; docs/sandbox.md says what they hold and what not)

pool.py: who gets which worker, and for how long. forkserver.py: the executor's ends of the processes.
dipeo_worker/: what runs on the other side, in the interpreter of the project.
"""

from dipeo_executor.sandbox.forkserver import Limits, SandboxUnavailable, WorkerDied
from dipeo_executor.sandbox.pool import ExecutionWorkers, Sandbox

__all__ = ["ExecutionWorkers", "Limits", "Sandbox", "SandboxUnavailable", "WorkerDied"]
