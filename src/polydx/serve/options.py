"""What the server is told: where to listen, whom to answer, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polydx.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_KEY = 16
MB = 1_000_000


@dataclass(frozen=True)
class Options:
    """How the server runs.

    Attributes:
        host: the address to listen on; the default is reached from this machine only.
        port: TCP port; 0 takes a free one.
        api_keys: if any, each request under /v1 must carry one of them.
        max_mb: of one request, in millions of bytes, compressed or not.
        max_files: of one request; frames of an image file count each.
        timeout: seconds to receive a request, and again to answer it.
        allowed_hosts: names by which clients may call the server, beside its own address; empty = any, unless `host`
            is this machine's loopback address.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = ()
    max_mb: float = 64
    max_files: int = 256
    timeout: float = 30
    allowed_hosts: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def most_bytes(self) -> int:
        """Bytes of one request."""
        return int(self.max_mb * MB)

    @property
    def most_each(self) -> int:
        """Bytes one request may take as it came and unpacked, together."""
        return 5 * self.most_bytes

    @property
    def most_held(self) -> int:
        """Bytes that all requests together may hold at a time, as they came and decoded; more are told to wait."""
        return max(2 * self.most_each, 512 * MB)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names clients may call the server by; empty = any. Keeps other web sites from using a local server."""
        if not self.local and not self.allowed_hosts:
            return ()
        return (*LOOPBACK, self.host, *self.allowed_hosts)


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of a file, one a line; lines that begin with # are left out.

    Raises:
        ConfigError: no such file, no key in it, or a key too short or not in plain letters.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file of API keys {path} cannot be read: {error}") from error
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ConfigError(f"the file of API keys {path} holds none; write one a line")
    if any(len(key) < SHORTEST_KEY or not key.isascii() for key in keys):
        raise ConfigError(
            f"a key in {path} has fewer than {SHORTEST_KEY} characters, or others than ASCII; make one by "
            '`python -c "import secrets; print(secrets.token_urlsafe(32))"`'
        )
    return keys
