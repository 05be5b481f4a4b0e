"""`python -m dipeo_kit.healthcheck ADDRESS`: exit 0 when a service of ours serves there, else 1. For containers.

ADDRESS: "host:port" or "unix:/path" asks grpc.health.v1; "http://host:port/path" wants a 200.
"""

import sys
import urllib.error
import urllib.request

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
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(0 if serves(sys.argv[1]) else 1)
