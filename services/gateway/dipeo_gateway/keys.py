"""Keys of other services: what is known of them, never the keys themselves (spec/gateway.md §11.1)."""

# mypy: disable-error-code="untyped-decorator"
# Strawberry types its decorators as Any as soon as they are given a name.

from enum import Enum
from typing import Any, TypeAlias

import strawberry
from strawberry.types import Info as StrawberryInfo

from dipeo_gateway import faults, wire
from dipeo_gateway.context import Context
from dipeo_gateway.types import JSON
from dipeo_kit import errors
from dipeo_protos.executor.v1 import executor_pb2
from dipeo_protos.store.v1 import content_pb2

Info: TypeAlias = StrawberryInfo[Context, None]

HIDDEN = "***hidden***"
ALIASES = {
    "claude": "anthropic",
    "claude-sdk": "claude-code",
    "chatgpt": "openai",
    "gpt": "openai",
    "gpt-4": "openai",
    "gpt-3.5": "openai",
    "google": "gemini",
    "llama": "ollama",
    "mistral": "ollama",
    "gemma": "ollama",
    "phi": "ollama",
}


@strawberry.enum
class APIServiceType(Enum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    GEMINI = "gemini"
    OLLAMA = "ollama"
    CLAUDE_CODE = "claude-code"
    CLAUDE_CODE_CUSTOM = "claude-code-custom"
    OPENAI_COMPATIBLE = "openai-compatible"
    DEEPSEEK = "deepseek"
    GROQ = "groq"
    OPENROUTER = "openrouter"
    VLLM = "vllm"
    LM_STUDIO = "lm-studio"
    OTHER = "other"


@strawberry.type(description="What is known of a key. `key` shows its last four characters at most.")
class DomainApiKeyType:
    id: strawberry.ID
    label: str
    service: APIServiceType
    key: str | None = None
    service_name: str | None = strawberry.field(default=None, description="Also of services that are OTHER.")
    base_url: str | None = None
    created_at: str | None = None
    used_at: str | None = None


@strawberry.type
class ApiKeyResult:
    success: bool
    message: str | None = None
    error: str | None = None
    error_type: str | None = None
    envelope: JSON | None = None
    data: DomainApiKeyType | None = None


@strawberry.type
class DeleteResult:
    success: bool
    message: str | None = None
    error: str | None = None
    error_type: str | None = None
    envelope: JSON | None = None
    data: JSON | None = None
    deleted_id: str | None = None
    deleted_count: int | None = None


@strawberry.input(description="`service`, or `service_name` for one that is OTHER.")
class CreateApiKeyInput:
    label: str
    key: str
    service: APIServiceType | None = None
    service_name: str | None = None
    base_url: str | None = strawberry.field(default=None, description="The only address the key is sent to.")


@strawberry.type
class KeyQueries:
    @strawberry.field(name="getApiKeys", description="[{id, label, service, base_url, last4, created_at, used_at}]")
    async def get_api_keys(self, info: Info, service: str | None = None) -> JSON:
        return [_listed(one) for one in await _secrets(info.context, service_named(service or ""))]

    @strawberry.field(name="getApiKey")
    async def get_api_key(self, info: Info, api_key_id: str) -> DomainApiKeyType:
        return shown(await _secret(info.context, api_key_id))

    @strawberry.field(name="getAvailableModels", description="Names, as the service lists them to the key.")
    async def get_available_models(self, info: Info, service: str, api_key_id: str | None = None) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.ListModelsRequest(service=service_named(service), key=api_key_id or "")
        found = await executor.write(executor.rpc.ListModels, request)
        if found.problem:
            raise errors.Conflict(found.problem)
        return list(found.models)

    @strawberry.field(name="getModelServices", description="[{name, needs_key, key_variables}]: what persons can name.")
    async def get_model_services(self, info: Info) -> JSON:
        executor = info.context.backend.executor
        found = await executor.read(executor.rpc.ListModels, executor_pb2.ListModelsRequest())
        return [
            {"name": it.name, "needs_key": it.needs_key, "key_variables": list(it.key_variables)}
            for it in found.services
        ]


@strawberry.type
class KeyMutations:
    @strawberry.mutation(name="createApiKey", description="The key is kept encrypted and never shown again.")
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> ApiKeyResult:
        try:
            return await _created(info.context, input)
        except errors.DipeoError as error:
            return ApiKeyResult(success=False, error=faults.text_of(error), error_type=faults.code_of(error))

    @strawberry.mutation(name="testApiKey", description="One cheap call; envelope {valid}.")
    async def test_api_key(self, info: Info, api_key_id: str) -> ApiKeyResult:
        try:
            return await _tested(info.context, api_key_id)
        except errors.DipeoError as error:
            return ApiKeyResult(success=False, error=faults.text_of(error), error_type=faults.code_of(error))

    @strawberry.mutation(name="deleteApiKey", description="By id or label; what is gone already is a success.")
    async def delete_api_key(self, info: Info, api_key_id: str) -> DeleteResult:
        store = info.context.backend.store
        request = content_pb2.DeleteSecretRequest(secret_id=api_key_id)
        try:
            deleted = (await store.write(store.rpc.DeleteSecret, request)).deleted
        except errors.DipeoError as error:
            return DeleteResult(success=False, error=faults.text_of(error), error_type=faults.code_of(error))
        return DeleteResult(success=True, message="done", deleted_id=api_key_id, deleted_count=int(deleted))


async def _created(context: Context, asked: CreateApiKeyInput) -> ApiKeyResult:
    service = service_named(asked.service_name or (asked.service.value if asked.service else ""))
    if service in ("", APIServiceType.OTHER.value):
        raise errors.BadInput("service: one of APIServiceType, or service_name, is needed")
    if service == "openai-compatible" and not asked.base_url:
        raise errors.BadInput("base_url: a key for openai-compatible needs the address it is meant for")
    store = context.backend.store
    request = content_pb2.PutSecretRequest(
        label=asked.label, service=service, key=asked.key, base_url=asked.base_url or ""
    )
    made = shown((await store.write(store.rpc.PutSecret, request)).secret)
    made.key = HIDDEN
    return ApiKeyResult(success=True, message="done", data=made)


async def _tested(context: Context, reference: str) -> ApiKeyResult:
    secret = await _secret(context, reference)
    executor = context.backend.executor
    request = executor_pb2.TestKeyRequest(reference=secret.secret_id)
    response = await executor.write(executor.rpc.TestKey, request)
    return ApiKeyResult(success=True, message=response.message, envelope={"valid": response.valid}, data=shown(secret))


async def _secrets(context: Context, service: str) -> list[content_pb2.Secret]:
    store = context.backend.store
    response = await store.read(store.rpc.ListSecrets, content_pb2.ListSecretsRequest(service=service))
    return list(response.secrets)


async def _secret(context: Context, reference: str) -> content_pb2.Secret:
    """By id or label. Raises NotFound."""
    for one in await _secrets(context, ""):
        if reference in (one.secret_id, one.label):
            return one
    raise errors.NotFound(f'no key is kept as "{reference}"')


def service_named(name: str) -> str:
    """Folded and aliased as persons' services are."""
    folded = name.strip().lower().replace("_", "-")
    return ALIASES.get(folded, folded)


def shown(secret: content_pb2.Secret) -> DomainApiKeyType:
    known = {member.value: member for member in APIServiceType}
    return DomainApiKeyType(
        id=strawberry.ID(secret.secret_id),
        label=secret.label,
        service=known.get(secret.service, APIServiceType.OTHER),
        key=f"…{secret.last4}" if secret.last4 else None,
        service_name=secret.service,
        base_url=secret.base_url or None,
        created_at=wire.time_of(secret, "created_at"),
        used_at=wire.time_of(secret, "used_at"),
    )


def _listed(secret: content_pb2.Secret) -> dict[str, Any]:
    return {
        "id": secret.secret_id,
        "label": secret.label,
        "service": secret.service,
        "base_url": secret.base_url or None,
        "last4": secret.last4 or None,
        "created_at": wire.time_of(secret, "created_at"),
        "used_at": wire.time_of(secret, "used_at"),
    }
