"""How a run behaves beyond its diagram: executor.v1.RunOptions, and the JSON the store keeps of it (decision 35)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dipeo_executor import values
from dipeo_executor.engine.state import Limits
from dipeo_executor.llm import script
from dipeo_executor.program import Budget
from dipeo_kit.errors import BadInput
from dipeo_protos.executor.v1 import executor_pb2

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Options:
    """See executor.v1.RunOptions for each field."""

    mock_llm: bool = False
    keep_going: bool = False
    timeout_s: float = 0  # 0 = none
    answers: Mapping[str, str] = field(default_factory=dict)
    non_interactive: bool = False
    max_parallel: int = 0
    max_node_runs: int = 0
    max_cost_usd: float = 0
    max_tokens: int = 0
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mock_script: Sequence[Any] = ()

    @property
    def budget(self) -> Budget:
        return Budget(self.max_cost_usd, self.max_tokens)

    @property
    def limits(self) -> Limits:
        return Limits(
            self.max_parallel or DEFAULT_LIMITS.parallel,
            self.max_node_runs or DEFAULT_LIMITS.runs_per_node,
            self.keep_going,
        )


def from_pb(options: executor_pb2.RunOptions) -> Options:
    """Raises BadInput naming the option that makes no sense."""
    for name in ("timeout_s", "max_parallel", "max_node_runs", "max_cost_usd", "max_tokens"):
        if getattr(options, name) < 0:
            raise BadInput(f"option {name} is {getattr(options, name):g}; it must not be negative (0 = the default)")
    return Options(
        options.mock_llm, options.keep_going, options.timeout_s, dict(options.answers), options.non_interactive,
        options.max_parallel, options.max_node_runs, options.max_cost_usd, options.max_tokens,
        options.name, dict(options.labels), _script(options),
    )  # fmt: skip


def _script(options: executor_pb2.RunOptions) -> Sequence[Any]:
    if not options.mock_script_json:
        return ()
    if not options.mock_llm:
        raise BadInput("option mock_script is for the mock only; give mock_llm, too")
    rules: Sequence[Any] = values.decode(options.mock_script_json)
    script.read(rules)
    return rules


def to_json(options: Options) -> bytes:
    return values.encode(asdict(options))


def from_json(data: bytes) -> Options:
    """Tolerant: options a newer release wrote are ignored."""
    known = Options.__dataclass_fields__
    return Options(**{name: value for name, value in values.decode(data or b"{}").items() if name in known})
