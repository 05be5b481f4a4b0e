"""One tools/call: who asks for what, over which kind of connection."""

from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from dipeo_mcp import principals
from dipeo_mcp.errors import Unserved
from dipeo_mcp.principals import Principal
from dipeo_mcp.service import Service

Context = ServerRequestContext[Any, Any]
Answer = types.CallToolResult | types.InputRequiredResult | dict[str, Any]  # a mapping: a task


@dataclass(frozen=True, slots=True)
class Call:
    service: Service
    ctx: Context
    params: types.CallToolRequestParams

    @property
    def principal(self) -> Principal:
        return principals.of(self.ctx)

    @property
    def is_modern(self) -> bool:
        return self.ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

    @property
    def wants_progress(self) -> bool:
        return bool(self.ctx.meta and self.ctx.meta.get("progress_token") is not None)

    @property
    def can_ask(self) -> bool:
        """Whether a human can be asked through this call. A client that names no mode means forms."""
        declared = self.ctx.session.client_capabilities
        elicitation = declared.elicitation if declared else None
        if elicitation is None or (elicitation.form is None and elicitation.url is not None):
            return False
        return self.is_modern or self.ctx.session.can_send_request

    def need(self, scope: str) -> None:
        """Raises Unserved without the scope."""
        if not self.principal.may(scope):
            raise Unserved("invalid_input", f"this credential lacks the scope {scope}")
