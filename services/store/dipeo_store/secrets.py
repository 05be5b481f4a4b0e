"""Keys of other services at rest: AES-256-GCM, a random nonce each, bound to id and service. (spec/store.md §15.6)

The master key comes from DIPEO_STORE_MASTER_KEY or the file DIPEO_STORE_MASTER_KEY_FILE names: 32 bytes, as base64 or
hex. Without one the store keeps no secrets; everything else works.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dipeo_kit.errors import BadInput
from dipeo_store.errors import NoMasterKey, Tampered, UnknownSecret, WrongMasterKey
from dipeo_store.model import NewSecret, SealedSecret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_KEY_BYTES = 16 * 1024
SHOWN_FROM = 12  # characters of a key; of a shorter one even the last four say too much


class Safe:
    """Seals and opens with one master key; `key` None = it can do neither."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._key_id = hashlib.sha256(b"dipeo master key " + key).hexdigest()[:16] if key else ""

    def seal(self, new: NewSecret) -> SealedSecret:
        """Raises NoMasterKey."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher().encrypt(nonce, new.key.encode(), _bound_to(new.secret_id, new.service))
        last4 = new.key[-4:] if len(new.key) >= SHOWN_FROM else ""
        return SealedSecret(
            new.secret_id, new.label, new.service, new.base_url, last4, nonce + sealed, self._key_id, 0, None
        )

    def open(self, sealed: SealedSecret) -> str:
        """Raises NoMasterKey, WrongMasterKey, Tampered."""
        from cryptography.exceptions import InvalidTag

        cipher = self._cipher()
        if sealed.key_id != self._key_id:
            raise WrongMasterKey(f'the key "{sealed.label}" was encrypted with another master key than this store has')
        nonce, text = sealed.ciphertext[:NONCE_BYTES], sealed.ciphertext[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, text, _bound_to(sealed.secret_id, sealed.service)).decode()
        except InvalidTag as error:
            message = f'the key "{sealed.label}" was changed in the database and cannot be used; remove it, add it anew'
            raise Tampered(message) from error

    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 28 ms, at first use

        if self._key is None:
            raise NoMasterKey("this store has no master key and keeps no secrets; set DIPEO_STORE_MASTER_KEY")
        return AESGCM(self._key)


def _bound_to(secret_id: str, service: str) -> bytes:
    return f"{secret_id}\0{service}".encode()


def new_id() -> str:
    return f"APIKEY_{secrets.token_hex(6).upper()}"


def master_key(text: str) -> bytes:
    """Raises ValueError, without the text."""
    text = text.strip()
    for decode in (binascii.unhexlify, base64.urlsafe_b64decode, base64.b64decode):
        try:
            key: bytes = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise ValueError("the master key must be 32 bytes, written as 64 hex digits or as base64")


def checked(new: NewSecret) -> NewSecret:
    """Raises BadInput, never with the key in its words."""
    if not new.label.strip() or len(new.label) > 200:
        raise BadInput("label: 1 to 200 characters are needed")
    if not new.service or len(new.service) > 100:
        raise BadInput("service: 1 to 100 characters are needed, e.g. openai")
    if not 1 <= len(new.key.encode()) <= MAX_KEY_BYTES or new.key != new.key.strip():
        raise BadInput(f"key: 1 to {MAX_KEY_BYTES} bytes are needed, without white space around them")
    if new.base_url and not new.base_url.startswith(("http://", "https://")):
        raise BadInput("base_url: an address that starts with http:// or https:// is needed")
    return new


def chosen(found: Sequence[SealedSecret], reference: str, service: str) -> SealedSecret:
    """The one of that id or label, else the only one of that service. (node contract 19.1) Raises UnknownSecret."""
    for secret in found:
        # a key of another service is not given: a diagram from elsewhere may name it together with its own address
        if reference and reference in (secret.secret_id, secret.label) and service in ("", secret.service):
            return secret
    fitting = [secret for secret in found if service and secret.service == service]
    if len(fitting) == 1:
        return fitting[0]
    why = f"{len(fitting)} are kept for {service}" if fitting else f"none is kept for {service or 'it'}"
    raise UnknownSecret(f'no key is kept as "{reference}", and {why}')
