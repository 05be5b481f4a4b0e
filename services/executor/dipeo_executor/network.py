"""Connections to other hosts, checked after DNS resolution. Imports httpx2: http.py loads it at first use."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore2
import httpx2

from dipeo_executor.nodes.base import NodeError

ADDRESS_S = 5.0  # given to one of several addresses before the next is tried
MAX_CONNECTIONS = 1000
NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(NodeError):
    """The host lies in a network that nodes may not reach here."""


class Transport(httpx2.AsyncHTTPTransport):
    """Without proxies and without anything else of the environment but the certificates it names."""

    def __init__(self, *, allow_private: bool) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=50,
            keepalive_expiry=5.0,
            network_backend=_Guarded(allow_private),
        )


class _Guarded(httpcore2.AsyncNetworkBackend):
    """Resolves once and connects to an address of that very answer, so that a second answer cannot lead elsewhere."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await _resolved(host, port)
        if not self._allow_private:
            public = [address for address in addresses if is_public(address)]
            if not public:
                raise AddressRefused(
                    f'"{host}" is at {addresses[0]}, in a private network; nodes may reach public addresses only, '
                    "unless DIPEO_EXECUTOR_ALLOW_PRIVATE_NETWORK is true"
                )
            addresses = public
        options: dict[str, Any] = {"local_address": local_address, "socket_options": socket_options}
        for address in addresses[:-1]:
            try:
                return await self._sockets.connect_tcp(address, port, timeout=ADDRESS_S, **options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(addresses[-1], port, timeout=timeout, **options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore2.ConnectError(f'there is no host "{host}"') from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Neither private, loopback, link-local, multicast nor reserved, also when wrapped in an IPv6 address."""
    ip = ip_address(address)
    return all(it.is_global and not it.is_multicast for it in (ip, *_wrapped(ip)))


def _wrapped(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(ip, IPv4Address):
        return []
    nat64 = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
    return [it for it in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()), nat64) if it is not None]
