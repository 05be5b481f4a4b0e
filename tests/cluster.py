"""The services as processes of their own, as a deployment runs them, over one SQLite store and unix sockets."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from command import Project, clean_environment, wait_for

TOKEN = "a-token-of-the-test"
SECRET = "a-secret-of-the-test"


@dataclass
class Service:
    """One process; `stop` and `kill` wait until it is gone, `start` until it says that it is ready."""

    module: str
    environment: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> "Service":
        size = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module], env=dict(self.environment), stdout=log, stderr=log
            )
        wait_for(lambda: self._said_ready(size), f"{self.module} to be ready; see {self.log}")
        return self

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(30)

    def _said_ready(self, size: int) -> bool:
        assert self.process and self.process.poll() is None, self.log.read_text()
        return any(event.endswith(".ready") for event in self.events(size))

    def events(self, after_bytes: int = 0) -> list[str]:
        """Names of the events it logged."""
        return [str(line.get("event")) for line in self.lines(after_bytes)]

    def lines(self, after_bytes: int = 0) -> list[dict[str, object]]:
        text = self.log.read_bytes()[after_bytes:].decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@dataclass
class Cluster:
    """One store, executors and gateways; `project` is a command line that talks to the first gateway."""

    project: Project
    store: Service
    executors: list[Service] = field(default_factory=list)
    gateways: list[Service] = field(default_factory=list)

    @property
    def all(self) -> list[Service]:
        return [self.store, *self.executors, *self.gateways]


@contextmanager
def cluster(
    base: Path,
    *,
    executors: int = 2,
    gateways: int = 1,
    environment: Mapping[str, str] | None = None,
    tcp: bool = False,
) -> Iterator[Cluster]:
    """Everything started and ready, with a secret between the services; stopped at the end."""
    project = Project(base)
    with ExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dipeo")))  # unix paths are short
        (sockets / "secret").write_text(SECRET)
        shared = {
            **clean_environment(),
            "DIPEO_BASE_DIR": str(base),
            "DIPEO_GRPC_SECRET_FILE": str(sockets / "secret"),
            **(environment or {}),
        }

        def service(kind: str, number: int, **settings: object) -> Service:
            own = {f"DIPEO_{kind}_{name}".upper(): str(value) for name, value in settings.items()}
            made = Service(f"dipeo_{kind}.main", shared | own, base / f"{kind}{number}.log")
            stack.callback(made.kill)
            return made.start()

        def address(name: str) -> str:
            return f"127.0.0.1:{free_port()}" if tcp else f"unix:{sockets}/{name}"

        at = {f"executor{number}": address(f"executor{number}") for number in range(executors)}
        store = address("store")
        running = Cluster(
            project, service("store", 0, listen=store, url=f"sqlite:///{base}/state.db", heartbeat_s=1, lost_s=10)
        )
        running.executors += [
            service("executor", number, listen=at[f"executor{number}"], store=store, store_lost_s=20)
            for number in range(executors)
        ]
        ports = [free_port() for _ in range(gateways)]
        for number, port in enumerate(ports):
            executor = at[f"executor{number % executors}"]
            how = {"listen": f"127.0.0.1:{port}", "store": store, "executor": executor, "token": TOKEN, "drain_s": 2}
            running.gateways.append(service("gateway", number, **how))
        project.environment |= {"DIPEO_API_URL": f"http://127.0.0.1:{ports[0]}", "DIPEO_API_TOKEN": TOKEN}
        yield running


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
