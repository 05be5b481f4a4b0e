"""Where we are reached: names a Host header may say, and the public URL, which a tunnel may change at any time."""

from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True)
class Address:
    """`tunnelled`: the public URL comes from a tunnel, so it is unknown until that is up."""

    origins: frozenset[str]  # exact, of pages besides our own
    hosts: frozenset[str] = frozenset()  # names or name:port, lower case, besides the loopback names
    pinned_url: str = ""  # MCP_PUBLIC_URL
    tunnelled: bool = False
    tunnel_url: str = ""
    port: int = 0

    @property
    def public_url(self) -> str:
        """https://host without path; on loopback alone http://127.0.0.1:PORT; "" = not known yet."""
        if self.pinned_url or self.tunnel_url:
            return (self.pinned_url or self.tunnel_url).rstrip("/")
        return "" if self.tunnelled else f"http://127.0.0.1:{self.port}"

    @property
    def resource(self) -> str:
        """What tokens are issued for; "" = not known yet."""
        return f"{self.public_url}/mcp" if self.public_url else ""

    def tunnel_opened(self, url: str) -> None:
        self.tunnel_url = url

    def tunnel_closed(self) -> None:
        self.tunnel_url = ""

    def allows_host(self, host: str) -> bool:
        """Exact names; a name that ends like ours is another name."""
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").lower()
        except ValueError:
            return False
        public = {(urlsplit(url).netloc or "").lower() for url in (self.pinned_url, self.tunnel_url) if url}
        return bool(name) and (name in LOOPBACK_NAMES or host.lower() in public | self.hosts or name in self.hosts)

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Programs send no Origin; a page of our own sends the host it was loaded from."""
        if origin is None or origin in self.origins:
            return True
        try:
            return bool(urlsplit(origin).netloc) and urlsplit(origin).netloc == host
        except ValueError:
            return False
