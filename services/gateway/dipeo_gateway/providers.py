"""Providers of integrated_api: what the executor says of their manifests, as GraphQL prints it (spec/gateway.md §2)."""

# mypy: disable-error-code="untyped-decorator"
# Strawberry types its decorators as Any as soon as they are given a name.

from typing import Any, TypeAlias

import strawberry
from strawberry.types import Info as StrawberryInfo

from dipeo_gateway import submit
from dipeo_gateway.context import Context
from dipeo_gateway.types import JSON
from dipeo_protos.executor.v1 import executor_pb2

Info: TypeAlias = StrawberryInfo[Context, None]


@strawberry.type
class OperationType:
    name: str
    method: str
    path: str
    description: str | None
    has_pagination: bool
    required: list[str] = strawberry.field(description="Names that its config must have.")
    required_scopes: list[str] | None = None
    timeout_override: float | None = None


@strawberry.type
class ProviderMetadataType:
    version: str
    type: str
    manifest_path: str | None = strawberry.field(default=None, description="In the project; null: it comes with DiPeO.")
    description: str | None = None
    documentation_url: str | None = None
    support_email: str | None = None


@strawberry.type
class AuthConfigType:
    strategy: str
    header: str | None = None
    query_param: str | None = None
    format: str | None = None
    scopes: list[str] | None = None


@strawberry.type
class RateLimitConfigType:
    algorithm: str
    capacity: float
    refill_per_sec: float
    window_size_sec: float | None = None


@strawberry.type
class RetryPolicyType:
    strategy: str
    max_retries: float
    base_delay_ms: float
    retry_on_status: list[float]
    max_delay_ms: float | None = None


@strawberry.type(description="A service that integrated_api nodes can ask.")
class ProviderType:
    name: str
    operations: list[OperationType]
    metadata: ProviderMetadataType
    default_timeout: float
    base_url: str | None = None
    auth_config: AuthConfigType | None = None
    rate_limit: RateLimitConfigType | None = None
    retry_policy: RetryPolicyType | None = None


@strawberry.type
class ProviderQueries:
    @strawberry.field(
        name="listProviders", description="Those of the project, and those that come with DiPeO, by name."
    )
    async def list_providers(self, info: Info) -> list[ProviderType]:
        return [_provider(it) for it in (await _known(info)).providers]

    @strawberry.field(name="getProvider", description="Null when there is none of that name.")
    async def get_provider(self, info: Info, name: str) -> ProviderType | None:
        known = (await _known(info)).providers
        return next((_provider(it) for it in known if it.name == name.strip().lower()), None)

    @strawberry.field(name="providerProblems", description="Manifests of the project that cannot be used.")
    async def provider_problems(self, info: Info) -> list[str]:
        return list((await _known(info)).problems)

    @strawberry.field(name="checkManifest", description="{valid, provider, operations, errors}; `name` is its file.")
    async def check_manifest(self, info: Info, text: str, name: str) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.CheckManifestRequest(text=text, name=name)
        found = await executor.read(executor.rpc.CheckManifest, request)
        return {
            "valid": not found.problems,
            "provider": found.provider.name or None,
            "operations": [it.name for it in found.provider.operations],
            "errors": submit.diagnostics(found.problems)["errors"],
        }

    @strawberry.field(
        name="importOpenApi", description="{manifest, operations, notes}: a manifest that loads, as YAML."
    )
    async def import_open_api(
        self,
        info: Info,
        document: str,
        name: str,
        base_url: str | None = None,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
    ) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.ImportOpenApiRequest(
            document=document, name=name, base_url=base_url or "", include=include or [], exclude=exclude or []
        )
        made = await executor.read(executor.rpc.ImportOpenApi, request)
        operations = [it.name for it in made.provider.operations]
        return {"manifest": made.manifest, "operations": operations, "notes": list(made.notes)}


async def _known(info: Info) -> Any:
    executor = info.context.backend.executor
    return await executor.read(executor.rpc.ListProviders, executor_pb2.ListProvidersRequest())


def _provider(it: executor_pb2.Provider) -> ProviderType:
    auth, rate, retry = it.auth, it.rate_limit, it.retry_policy
    return ProviderType(
        name=it.name,
        operations=[_operation(each) for each in it.operations],
        metadata=ProviderMetadataType(
            version=it.version, type="manifest", manifest_path=it.path or None, description=it.description or None
        ),
        default_timeout=it.default_timeout_s,
        base_url=it.base_url,
        auth_config=AuthConfigType(
            strategy=auth.strategy,
            header=auth.header or None,
            query_param=auth.query_param or None,
            format=auth.format or None,
            scopes=list(auth.scopes),
        ),
        rate_limit=RateLimitConfigType(
            algorithm=rate.algorithm,
            capacity=rate.capacity,
            refill_per_sec=rate.refill_per_sec,
            window_size_sec=rate.window_size_sec,
        ),
        retry_policy=RetryPolicyType(
            strategy=retry.strategy,
            max_retries=retry.max_retries,
            base_delay_ms=retry.base_delay_ms,
            max_delay_ms=retry.max_delay_ms,
            retry_on_status=[float(status) for status in retry.retry_on_status],
        ),
    )


def _operation(it: executor_pb2.ProviderOperation) -> OperationType:
    return OperationType(
        name=it.name,
        method=it.method,
        path=it.path,
        description=it.description or None,
        has_pagination=it.paged,
        required=list(it.required),
        timeout_override=it.timeout_s or None,
    )
