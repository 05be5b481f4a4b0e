"""Services of others, each described by a manifest."""

# integrated_api uses the providers, and they use helpers of the nodes: with the nodes first, either may be imported.
import dipeo_executor.nodes  # noqa: F401
