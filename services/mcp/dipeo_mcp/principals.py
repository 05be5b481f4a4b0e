"""Who is calling, and what they may do (spec/mcp.md §3.3, §3.11)."""

from dataclasses import dataclass
from typing import Any

READ, RUN, WRITE, ADMIN = "dipeo:read", "dipeo:run", "dipeo:write", "dipeo:admin"
SCOPES = (READ, RUN, WRITE, ADMIN)
SCOPE_KEY = "dipeo.principal"  # in the ASGI scope


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` owns executions: "local", "key:NAME", "oauth:ISSUER#SUBJECT"."""

    id: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def sees(self, owner: str) -> bool:
        """Whether an execution of `owner` is visible; a foreign one looks like one that does not exist."""
        return owner == self.id or ADMIN in self.scopes

    @property
    def owner_filter(self) -> str:
        """Whose executions the store shall list; "" = everybody's."""
        return "" if ADMIN in self.scopes else self.id

    @property
    def is_local(self) -> bool:
        """The user of this machine, whom rate limits do not apply to (decision 38)."""
        return self.id == LOCAL.id


LOCAL = Principal("local", frozenset(SCOPES))


def of(ctx: Any) -> Principal:
    """The caller of a request the SDK hands us: put into the ASGI scope by the edge; on stdio there is none."""
    if ctx.request is None:
        return LOCAL
    found: Principal = ctx.request.scope[SCOPE_KEY]
    return found
