"""The MCP edge of DiPeO: diagrams as tools for other people's models, and the tunnel that publishes it."""
