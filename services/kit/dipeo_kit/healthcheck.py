"""`python -m dipeo_kit.healthcheck ADDRESS`: exit 0 when a service of ours serves there, else 1. For containers.

ADDRESS: "host:port" or "unix:/path" asks grpc.health.v1; "http://host:port/path" wants a 200.
"""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import grpc

from dipeo_kit import identity

TIMEOUT_S = 3.0


def serves(address: str) -> bool:
    return _answers(address) if address.startswith("http://") else _is_serving(address)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own port is no business of a proxy
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            return int(response.status) == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _is_serving(address: str) -> bool:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    options, ours = [("grpc.enable_http_proxy", 0)], identity.certificates_at(address)
    channel = (
        grpc.secure_channel(address, ours.of_client(), options) if ours else grpc.insecure_channel(address, options)
    )
    with channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


def _own_certificates() -> None:
    files = (os.environ.get(name) for name in (identity.CA, identity.CERT, identity.KEY))
    identity.use_certificates(*(Path(file) if file else None for file in files))


if __name__ == "__main__":
    _own_certificates()
    sys.exit(0 if serves(sys.argv[1]) else 1)
