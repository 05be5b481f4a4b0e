"""Worker processes that run user code. (decision 13; docs/sandbox.md says what they hold and what not)

pool.py: who gets which worker, and for how long. forkserver.py: the executor's ends of the processes. node.py: which
Node.js. layers.py: which walls stand. dipeo_worker/: what runs on the other side, in the interpreter of the project.
"""

from dipeo_executor.sandbox.forkserver import Access, Limits, SandboxUnavailable, WorkerDied
from dipeo_executor.sandbox.layers import Layer, close_own_memory
from dipeo_executor.sandbox.node import NodeMissing
from dipeo_executor.sandbox.pool import ExecutionWorkers, Sandbox

__all__ = [
    "Access",
    "ExecutionWorkers",
    "Layer",
    "Limits",
    "NodeMissing",
    "Sandbox",
    "SandboxUnavailable",
    "WorkerDied",
    "close_own_memory",
]
