"""A real proxy from Debian in front of servers of ours: REST and gRPC, each sent to whoever says that it is ready."""

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, free_port, server

_CONFIGURATION = """
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 5s
  retries 3
  option redispatch
  option httpchk
  http-check send meth GET uri /v2/health/ready
  http-check expect status 200
  default-server inter 200ms fall 1 rise 1
frontend rest
  bind 127.0.0.1:{rest}
  default_backend rest
frontend grpc
  bind 127.0.0.1:{grpc} proto h2
  default_backend grpc
frontend stats
  bind 127.0.0.1:{stats}
  stats enable
  stats uri /
backend rest
{rest_servers}
backend grpc
{grpc_servers}
"""


@dataclass(frozen=True)
class Behind:
    """A server's two ports."""

    name: str
    rest: int
    grpc: int


@dataclass(frozen=True)
class Proxy:
    rest: int
    grpc: int
    stats: int

    def sends_to(self, name: str) -> bool:
        """Does it take that server for ready, on both protocols?"""
        rows = csv.DictReader(io.StringIO(httpx.get(f"http://127.0.0.1:{self.stats}/;csv").text.removeprefix("# ")))
        return [each["status"] for each in rows if each["svname"] == name] == ["UP", "UP"]


@contextmanager
def haproxy(servers: Sequence[Behind], folder: Path) -> Iterator[Proxy]:
    """Skips the test, loudly, where there is no haproxy."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("NO PROXY IS TESTED HERE: apt-get install --no-install-recommends haproxy")
    proxy = Proxy(free_port(), free_port(), free_port())
    written = folder / "haproxy.cfg"
    written.write_text(
        _CONFIGURATION.format(
            **vars(proxy),
            rest_servers="\n".join(f"  server {each.name} 127.0.0.1:{each.rest} check" for each in servers),
            grpc_servers="\n".join(
                f"  server {each.name} 127.0.0.1:{each.grpc} proto h2 check port {each.rest} check-proto h1"
                for each in servers
            ),
        )
    )
    command = [program, "-db", "-f", str(written)]
    running: Server
    with server("haproxy", command, port=proxy.stats, env={}, folder=folder, ready=None) as running:
        assert running.port == proxy.stats
        yield proxy
