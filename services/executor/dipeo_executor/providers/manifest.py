"""What a provider manifest says: its address, operations, auth, limits. Pure. (node contract 20.2)"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from dipeo_executor.nodes import content, web
from dipeo_executor.nodes.base import NodeError

Method = Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], BeforeValidator(web.upper)]
Template = Any  # text with Jinja, or maps and lists of such


Problem = tuple[tuple[str | int, ...], str]  # where in the document, what is wrong


class ManifestInvalid(NodeError):
    """The manifest cannot be used. The message names its file and the fields."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        told = [f"{'.'.join(map(str, place))}: {words}" if place else words for place, words in problems]
        super().__init__(f"{name}: {'; '.join(told)}")
        self.problems = tuple(problems)


def _pointer(value: str) -> str:
    """RFC 6901; "$" is an older word for the whole document."""
    if value in ("", "$"):
        return ""
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not a JSON pointer; write /data/items, or leave it out for the whole document')
    return value


Pointer = Annotated[str, AfterValidator(_pointer)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Auth(_Part):
    """`env` names the variables of the environment that hold the secrets: one, or one per field."""

    strategy: Literal[
        "none", "api_key_header", "api_key_query", "oauth2_bearer", "basic", "oauth2_client_credentials", "custom"
    ] = "none"
    header: str = ""
    query_param: str = "api_key"
    format: str = ""  # of the header, e.g. "token {{api_key}}"
    token_endpoint: str = ""
    scopes: tuple[str, ...] = ()
    env: str | dict[str, str] = Field(default_factory=dict)


class RetryPolicy(_Part):
    strategy: Literal["exponential_backoff", "linear_backoff", "fixed_delay"] = "exponential_backoff"
    max_retries: int = Field(default=3, ge=0, le=10)
    base_delay_ms: int = Field(default=300, ge=0)
    max_delay_ms: int = Field(default=30_000, ge=0)
    retry_on_status: frozenset[int] = web.RETRIED_STATUSES


class RateLimit(_Part):
    algorithm: Literal["token_bucket", "sliding_window", "fixed_window", "leaky_bucket", "none"] = "token_bucket"
    capacity: int = Field(default=50, ge=1)
    refill_per_sec: float = Field(default=1.0, gt=0)  # of the buckets
    window_size_sec: float = Field(default=60.0, gt=0)  # of the windows


class Pagination(_Part):
    """Pages are joined; the node's config.max_pages goes before the manifest's.

    cursor (or next_token): the value at `cursor_pointer` of a page is `cursor_param` of the next one.
    page_number, offset_limit: `page_param` or `offset_param` counts, until a page is empty or shorter than `page_size`.
    link_header: the server names the next page.
    """

    type: Literal["cursor", "next_token", "page_number", "offset_limit", "link_header"]
    max_pages: int = Field(default=1, ge=1, le=100)
    cursor_pointer: Pointer = "/next_cursor"
    cursor_param: str = "cursor"
    page_param: str = "page"
    first_page: int = 1
    offset_param: str = "offset"
    size_param: str = ""  # sent with page_size when given
    page_size: int = Field(default=0, ge=0)


class RequestShape(_Part):
    body_template: Template = None
    query_params_template: dict[str, Template] = Field(default_factory=dict)
    headers_template: dict[str, Template] = Field(default_factory=dict)


class ResponseShape(_Part):
    success_codes: frozenset[int] = frozenset({200, 201, 202, 204})
    json_pointer: Pointer = ""
    error_json_pointer: Pointer | None = None
    transform: str = ""


class Operation(_Part):
    method: Method
    path: str
    description: str = ""
    required: tuple[str, ...] = ()  # names in config
    request: RequestShape = RequestShape()
    response: ResponseShape = ResponseShape()
    pagination: Pagination | None = None
    rate_limit_override: RateLimit | None = None
    timeout_override: float | None = Field(default=None, gt=0)
    pre_request_hook: str = ""  # read, and refused when the operation is called
    post_response_hook: str = ""


class Manifest(_Part):
    name: Annotated[str, AfterValidator(str.lower)] = Field(min_length=1)
    version: str = "1.0.0"
    description: str = ""
    base_url: Annotated[str, AfterValidator(web.checked_url)]
    auth: Auth
    retry_policy: RetryPolicy = RetryPolicy()
    rate_limit: RateLimit = RateLimit()
    default_timeout: float = Field(default=web.TIMEOUT_S, gt=0)
    default_headers: dict[str, str] = Field(default_factory=dict)
    operations: dict[str, Operation] = Field(min_length=1)


@lru_cache(maxsize=128)
def parse(text: str, name: str) -> Manifest:
    """The manifest in a file called `name`. Raises ManifestInvalid."""
    try:
        data = content.parse_strictly(text, name)
    except NodeError as error:
        raise ManifestInvalid(name, [((), str(error))]) from None
    if not isinstance(data, Mapping):
        raise ManifestInvalid(name, [((), f"a manifest is a map, not {type(data).__name__}")])
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise ManifestInvalid(name, [(it["loc"], it["msg"]) for it in error.errors(include_url=False)]) from None
    except NodeError as error:
        raise ManifestInvalid(name, [(("base_url",), str(error))]) from None
