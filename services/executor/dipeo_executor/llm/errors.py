"""What a model call can end in. Each message names service and model and says what to do.

NodeError
└── ModelError
    ├── ServiceUnknown, ServiceNotReady   the person names a service we do not speak
    ├── ToolUnsupported                   the service has no such tool
    ├── KeyMissing                        no key, or one the service refuses
    ├── RateLimited, ServiceDown          worth trying again
    ├── QuotaUsedUp                       the account has no money left
    ├── RequestRefused                    the service does not want this request
    └── BudgetExceeded, PriceUnknown      the run may not spend what the call would cost; both end it
"""

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.program import Person


class ModelError(NodeError):
    """Never asked again unless the class says that it is worth trying."""

    retryable = False

    def __init__(self, message: str, *, details: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, details=details)
        self.retry_after_s = retry_after_s


class ServiceUnknown(ModelError):
    pass


class ServiceNotReady(ModelError):
    pass


class KeyMissing(ModelError):
    pass


class ToolUnsupported(ModelError):
    pass


class QuotaUsedUp(ModelError):
    pass


class RateLimited(ModelError):
    retryable = True


class ServiceDown(ModelError):
    retryable = True


class RequestRefused(ModelError):
    pass


class BudgetExceeded(ModelError):
    code = "budget_exceeded"


class PriceUnknown(ModelError):
    code = "price_unknown"


def status_error(person: Person, status: int, said: str, retry_after_s: float | None = None) -> ModelError:
    """The error for an HTTP status; `said`: the service's own words."""
    subject = f"{person.service} answered {status} for model {person.model}"
    if status in (401, 403):
        return KeyMissing(f"{subject}: the key is not accepted; check it and what it may use", details=said)
    if status == 404:
        return RequestRefused(f"{subject}: there is no such model, or no such address", details=said)
    if status == 429:
        return RateLimited(
            f"{subject}: too many requests, or the quota is used up; wait, or ask for less at once",
            details=said,
            retry_after_s=retry_after_s,
        )
    if status >= 500 or status == 408:
        return ServiceDown(
            f"{subject}: the service has a problem; try again", details=said, retry_after_s=retry_after_s
        )
    return RequestRefused(f"{subject}: {said or 'the request is not accepted'}", details=said)
