"""What a call costs, in US dollars: the dated table of genai-prices, and a file of the operator's over it.

The file is TOML; prices are per million tokens, and "service/*" stands for every model of a service:

    dated = 2026-11-01
    [prices."ollama/*"]
    input = 0.0
    output = 0.0
    cached = 0.0     # of the input; absent = as input
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dipeo_executor.llm.services import SERVICES
from dipeo_executor.llm.services.service import IMPORTING
from dipeo_executor.nodes.base import Usage
from dipeo_kit.errors import BadInput

PRICED = {name: service.price_id or name for name, service in SERVICES.items() if not service.takes_base_url}


class PricesUnusable(BadInput):
    """The price file cannot be read. The message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cached: float

    def of(self, usage: Usage) -> float:
        fresh = usage.input - usage.cached
        return (fresh * self.input + usage.cached * self.cached + usage.output * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """`own`: service/model -> price, before the table's."""

    own: Mapping[str, Price]
    dated: str  # where the prices come from, for people

    def cost(self, service: str, model: str, usage: Usage) -> float | None:
        """None = unknown, which is not nothing. Slow the first time: it loads the table."""
        own = self.own.get(f"{service}/{model}") or self.own.get(f"{service}/*")
        if own is not None:
            return own.of(usage)
        if service == "mock":
            return 0.0
        if service not in PRICED:
            return None  # who knows what a server under an address of its own charges
        with IMPORTING:
            import genai_prices

        tokens = genai_prices.Usage(
            input_tokens=usage.input, output_tokens=usage.output, cache_read_tokens=usage.cached
        )
        try:
            return float(genai_prices.calc_price(tokens, model, provider_id=PRICED[service]).total_price)
        except LookupError:
            return None


def load(path: Path | None) -> Prices:
    """Raises PricesUnusable."""
    table = f"genai-prices {version('genai-prices')}"
    if path is None:
        return Prices({}, table)
    try:
        document = tomllib.loads(path.read_text())
        own = {name: _price(name, entry) for name, entry in document.get("prices", {}).items()}
    except (OSError, tomllib.TOMLDecodeError, ValueError) as error:
        raise PricesUnusable(f"price file {path}: {error}") from error
    return Prices(own, f"{path.name} {document.get('dated', '')}, {table}")


def _price(name: str, entry: Any) -> Price:
    given: dict[str, Any] = entry if isinstance(entry, dict) else {}
    wrong = [key for key, value in given.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if "/" not in name or wrong or not {"input", "output"} <= given.keys() <= {"input", "output", "cached"}:
        raise ValueError(f'"{name}" must be "service/model" with numbers input, output and perhaps cached')
    return Price(given["input"], given["output"], given.get("cached", given["input"]))
