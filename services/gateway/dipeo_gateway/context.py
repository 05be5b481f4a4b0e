"""What travels with one request or socket, and what the process says about how busy it is."""

import time
from dataclasses import dataclass, field
from typing import Any

from dipeo_gateway.backend import Backend


@dataclass(slots=True)
class Activity:
    """So that a local stack can end itself when nobody uses it."""

    subscribers: int = 0  # open subscriptions
    last_request_at: float = field(default_factory=time.monotonic)

    def seen(self) -> None:
        self.last_request_at = time.monotonic()


@dataclass(slots=True)
class Context:
    """Strawberry's context. `connection_params` is filled from connection_init on sockets."""

    backend: Backend
    activity: Activity
    authorized: bool
    principal: str
    origin: str  # cli, mcp or api
    idempotency_key: str
    base: str
    publishes: bool  # published diagrams are the store's
    connection_params: dict[str, Any] | None = None
