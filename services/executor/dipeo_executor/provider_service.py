"""gRPC servicer, the part about providers of integrated_api: wire in, one call, wire out. Nothing is called or kept."""

import asyncio
from pathlib import Path
from typing import Any

from dipeo_executor.files import ProjectFiles
from dipeo_executor.providers import catalog, checking, openapi
from dipeo_executor.providers.manifest import Manifest, Operation
from dipeo_kit import errors
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2 as pb
from dipeo_protos.executor.v1 import executor_pb2_grpc as pb_grpc


class ProviderService(pb_grpc.ExecutorServiceServicer):
    """ListProviders, CheckManifest, ImportOpenApi of dipeo.executor.v1.ExecutorService."""

    _base: Path  # the project's root

    async def ListProviders(self, request: pb.ListProvidersRequest, context: Any) -> pb.ListProvidersResponse:
        known = await asyncio.to_thread(catalog.load, ProjectFiles(self._base))
        providers = [_provider_to_pb(it, known.files.get(name, "")) for name, it in sorted(known.manifests.items())]
        return pb.ListProvidersResponse(providers=providers, problems=known.problems)

    async def CheckManifest(self, request: pb.CheckManifestRequest, context: Any) -> pb.CheckManifestResponse:
        checked = await asyncio.to_thread(checking.check, request.text, request.name)
        if isinstance(checked, Manifest):
            return pb.CheckManifestResponse(provider=_provider_to_pb(checked, request.name))
        return pb.CheckManifestResponse(problems=map(_problem_to_pb, checked))

    async def ImportOpenApi(self, request: pb.ImportOpenApiRequest, context: Any) -> pb.ImportOpenApiResponse:
        wanted = openapi.Wanted(tuple(request.include), tuple(request.exclude))
        try:
            made = await asyncio.to_thread(
                openapi.convert, request.document, request.name, base_url=request.base_url, wanted=wanted
            )
        except openapi.NotImportable as error:
            raise errors.BadInput(str(error)) from error
        return pb.ImportOpenApiResponse(
            manifest=made.text, provider=_provider_to_pb(made.manifest, ""), notes=made.notes
        )


def _problem_to_pb(it: checking.Problem) -> diagram_pb2.Diagnostic:
    return diagram_pb2.Diagnostic(
        phase="LOAD",
        severity=diagram_pb2.SEVERITY_ERROR,
        message=f"{it.field}: {it.message}" if it.field else it.message,
        field=it.field,
        line=it.line,
        column=it.column,
    )


def _provider_to_pb(it: Manifest, path: str) -> pb.Provider:
    auth, rate, retry = it.auth, it.rate_limit, it.retry_policy
    return pb.Provider(
        name=it.name,
        version=it.version,
        description=it.description,
        base_url=it.base_url,
        path=path,
        default_timeout_s=it.default_timeout,
        auth=pb.ProviderAuth(
            strategy=auth.strategy,
            header=auth.header,
            query_param=auth.query_param,
            format=auth.format,
            scopes=auth.scopes,
        ),
        rate_limit=pb.RateLimit(
            algorithm=rate.algorithm,
            capacity=rate.capacity,
            refill_per_sec=rate.refill_per_sec,
            window_size_sec=rate.window_size_sec,
        ),
        retry_policy=pb.RetryPolicy(
            strategy=retry.strategy,
            max_retries=retry.max_retries,
            base_delay_ms=retry.base_delay_ms,
            max_delay_ms=retry.max_delay_ms,
            retry_on_status=sorted(retry.retry_on_status),
        ),
        operations=[_operation_to_pb(name, each) for name, each in sorted(it.operations.items())],
    )


def _operation_to_pb(name: str, it: Operation) -> pb.ProviderOperation:
    return pb.ProviderOperation(
        name=name,
        method=it.method,
        path=it.path,
        description=it.description,
        required=it.required,
        paged=it.pagination is not None,
        timeout_s=it.timeout_override or 0,
    )
