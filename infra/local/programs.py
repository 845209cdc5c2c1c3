"""The three programs of the local stack: where each listens, whether it answers, what it last said."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.local.settings import Settings

COMPLAINTS = ("error", "exception", "fatal", "critical", "failed", "cannot", "can't", "could not", "no module")


@dataclass(frozen=True)
class Program:
    """`health` is a path that is answered, with anything below 500, once the program is ready for callers."""

    name: str
    port_name: str
    health: str
    more_ports: tuple[str, ...] = ()
    """That it listens on too; 0 there turns one off."""

    def ports(self, settings: Settings) -> dict[str, int]:
        """By their names in `.env`, but those that are turned off."""
        more = (name for name in self.more_ports if settings.env.get(name) != "0")
        return {name: settings.port(name) for name in (self.port_name, *more)}

    def host(self, settings: Settings) -> str:
        """The address it binds."""
        return settings.env["SERVING_HOST"] if self.name == "serving" else "127.0.0.1"

    def url(self, settings: Settings) -> str:
        """The address to call."""
        host = self.host(settings)
        everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound # nosec B104
        scheme = "https" if self._with_tls(settings) else "http"
        return f"{scheme}://{'127.0.0.1' if everywhere else host}:{settings.port(self.port_name)}"

    def answers(self, settings: Settings) -> bool:
        if self._with_tls(settings):  # it knows how to show a certificate where one is asked for
            words, env = [sys.executable, "-m", "serving.check"], dict(settings.env)
            return subprocess.run(words, cwd=settings.root, env=env, capture_output=True, check=False).returncode == 0
        try:
            # No trust_env: a proxy has nothing to say about this machine.
            return httpx.get(self.url(settings) + self.health, timeout=2, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    def _with_tls(self, settings: Settings) -> bool:
        return self.name == "serving" and bool(settings.env.get("SERVING_TLS__CERTIFICATE"))


PROGRAMS = {
    program.name: program
    for program in (
        Program("s3", "S3_PORT", "/"),
        Program("mlflow", "MLFLOW_PORT", "/health"),
        Program("serving", "SERVING_PORT", "/health", ("SERVING_GRPC_PORT",)),
    )
}


def last_words(log: Path, *, since: int) -> str | None:
    """The last complaint in `log` after byte `since`, else its last line; None when it has none."""
    lines = list(_lines(log, since))
    complaints = [line for line in lines if any(word in line.lower() for word in COMPLAINTS)]
    return next(reversed(complaints or lines), None)


def size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _lines(log: Path, since: int) -> Iterator[str]:
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(since if since <= size(log) else 0)  # smaller than it was: rotated
        for line in file.read().decode(errors="replace").splitlines():
            if line.strip():
                yield line.strip()
