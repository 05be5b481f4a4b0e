"""protobuf <-> values for secrets and the catalogue."""

from dipeo_kit.errors import BadInput
from dipeo_protos.store.v1 import content_pb2
from dipeo_store import catalog, secrets
from dipeo_store.errors import InvalidEvent
from dipeo_store.model import CatalogEntry, NewSecret, SealedSecret
from dipeo_store.payload import checked_json
from dipeo_store.wire import timestamp


def new_secret_from_pb(pb: content_pb2.PutSecretRequest) -> NewSecret:
    secret_id = pb.secret_id or secrets.new_id()
    return NewSecret(secret_id, pb.label.strip(), pb.service.strip().lower(), pb.base_url.strip(), pb.key)


def secret_to_pb(secret: SealedSecret) -> content_pb2.Secret:
    return content_pb2.Secret(
        secret_id=secret.secret_id,
        label=secret.label,
        service=secret.service,
        base_url=secret.base_url,
        last4=secret.last4,
        created_at=timestamp(secret.created_at),
        used_at=timestamp(secret.used_at),
    )


def entry_from_pb(pb: content_pb2.PutDiagramRequest) -> CatalogEntry:
    """Raises BadInput."""
    try:
        metadata = checked_json(pb.metadata_json, "metadata").text.decode() if pb.metadata_json else None
    except InvalidEvent as error:
        raise BadInput(str(error)) from error
    text_hash = catalog.hash_of(pb.text)
    return CatalogEntry(pb.name, pb.format, pb.text, text_hash, metadata, pb.published, 0, False, 0, pb.updated_by)


def entry_to_pb(entry: CatalogEntry) -> content_pb2.CatalogEntry:
    return content_pb2.CatalogEntry(
        name=entry.name,
        format=entry.format,
        text=entry.text,
        text_hash=entry.text_hash,
        metadata_json=(entry.metadata or "").encode(),
        published=entry.published,
        etag=entry.etag,
        updated_at=timestamp(entry.updated_at),
        updated_by=entry.updated_by,
    )


def change_to_pb(entry: CatalogEntry) -> content_pb2.CatalogChange:
    return content_pb2.CatalogChange(revision=entry.etag, entry=entry_to_pb(entry), deleted=entry.deleted)
