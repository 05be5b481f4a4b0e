"""When a failed attempt is followed by another, and after how long. (node contract 19.3)"""

from dipeo_executor.nodes.base import NodeError, RetryPolicy

MODEL_RETRY = RetryPolicy(attempts=5, delay_s=1.0, max_delay_s=30.0)  # where the node has no policy of its own
WINDOW_S = 120.0  # in which its attempts begin


def wait_s(
    policy: RetryPolicy | None, error: Exception, kind: str, *, failed: int, spent_s: float, luck: float
) -> float | None:
    """Seconds before the attempt that follows number `failed` (from 1); None = there is none.

    `kind`: the class of failure as users see it. `spent_s`: since the first of these failures. `luck`: from 0 to 1, so
    that many that failed together do not come back together. What a service asked to be left alone for is kept to, and
    what it refused for good is never asked again.
    """
    if not isinstance(error, NodeError) or error.retryable is None:
        return policy.wait_s(failed) if policy is not None and policy.allows(failed, kind) else None
    chosen = policy or MODEL_RETRY
    if not error.retryable or not chosen.allows(failed, kind):
        return None
    wait = max(chosen.wait_s(failed) * (0.5 + luck / 2), (error.retry_after_s or 0.0) * (1 + luck / 10))
    return None if policy is None and spent_s + wait > WINDOW_S else wait
