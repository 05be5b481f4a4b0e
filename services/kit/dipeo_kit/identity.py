"""How the services of one house know each other: a secret every call carries, and certificates on both sides (mTLS).

Either, both or none. A unix socket has no certificates: its file is its owner's only.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from dipeo_kit import errors

AUTHORIZATION = "authorization"
CA, CERT, KEY = "DIPEO_GRPC_CA_FILE", "DIPEO_GRPC_CERT_FILE", "DIPEO_GRPC_KEY_FILE"
# What gRPC says about a handshake that failed, and what it means. It names no file, and none of our variables.
_HANDSHAKES = {
    "CERTIFICATE_VERIFY_FAILED": f"the other side's certificate is not signed by the authority in {CA}, or has expired",
    "Hostname Verification": "the other side's certificate is not for the name we reach it by",
    "WRONG_VERSION_NUMBER": f"the other side has no certificates; {CA} and its companions are for all services or none",
    "Socket closed": f"the other side hung up at once: it wants a certificate, or another than ours ({CA}, {CERT})",
}
_secret = ""  # what every call of this process says and every server of it asks for; "" = nothing
_certificates: "Certificates | None" = None


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts: the authority both sides trust, and what this process shows, as server and as client."""

    ca: bytes
    chain: bytes
    key: bytes

    def of_server(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.chain)], self.ca, require_client_auth=True)

    def of_client(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.chain)


def use_secret(file: Path | None) -> None:
    """From now on servers of this process refuse calls without the secret in `file`, and our own calls carry it.

    None changes nothing. Health is open to everybody. Raises BadInput when the file holds nothing.
    """
    global _secret
    if file is None:
        return
    found = _read("DIPEO_GRPC_SECRET_FILE", file).decode().strip()
    if not found:
        raise errors.BadInput(f"DIPEO_GRPC_SECRET_FILE {file} is empty; it should hold the secret of this house")
    _secret = found


def use_certificates(ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """From now on servers and channels of this process, those on unix sockets excepted, show and ask for certificates.

    All None changes nothing. Raises BadInput when one is missing, unreadable, or does not fit the others.
    """
    global _certificates
    given = {CA: ca, CERT: cert, KEY: key}
    if not any(given.values()):
        return
    if missing := [name for name, file in given.items() if file is None]:
        raise errors.BadInput(f"{' and '.join(missing)} must be set too: {CA}, {CERT} and {KEY} belong together")
    assert ca and cert and key
    texts = Certificates(_read(CA, ca), _read(CERT, cert), _read(KEY, key))
    _check(ca, cert, key)
    _certificates = texts


def certificates_at(address: str) -> Certificates | None:
    """What to show and ask for there; None: nothing."""
    return None if address.startswith("unix:") else _certificates


def credentials() -> tuple[tuple[str, str], ...]:
    """Metadata by which an outgoing call is admitted."""
    return ((AUTHORIZATION, f"Bearer {_secret}"),) if _secret else ()


def admitted(metadata: Mapping[str, str]) -> bool:
    given = metadata.get(AUTHORIZATION, "").removeprefix("Bearer ")
    return not _secret or hmac.compare_digest(given.encode(), _secret.encode())


def explained(details: str) -> str:
    """gRPC's words about a connection that failed, and ours before them where it was about certificates."""
    meant = next((meant for sign, meant in _HANDSHAKES.items() if sign in details), "")
    if "last error" not in details or not meant:  # else it was connected once
        return details
    return f"{meant} ({details})"


def _read(variable: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise errors.BadInput(f"{variable} {file}: {error.strerror}") from error


def _check(ca: Path, cert: Path, key: Path) -> None:
    """What gRPC would find out at the first connection, without a word about which file."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise errors.BadInput(f"{CA} {ca} holds no certificate in PEM: {error.reason or error}") from error
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        said = error.reason or error
        raise errors.BadInput(f"{CERT} {cert} and {KEY} {key} are no certificate and its key in PEM: {said}") from error
