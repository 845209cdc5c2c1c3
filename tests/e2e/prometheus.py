"""A real Prometheus with the very files of infra/monitoring, on a server of the test: what it knows and warns of."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.infra.monitoring.asked import MONITORING
from tests.infra.monitoring.programs import program
from tests.servers import Server, free_port, server


@dataclass(frozen=True)
class Prometheus:
    server: Server

    def answer(self, expr: str) -> list[dict[str, Any]]:
        """The series that answer now, with their values."""
        found: list[dict[str, Any]] = self._ask("query", query=expr)["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("targets")["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> dict[str, str]:
        """What each alert that fires says, of whatever it fires for."""
        said: dict[str, str] = {}
        for each in self._ask("alerts")["alerts"]:
            if each["state"] == "firing":
                name, sentences = each["labels"]["alertname"], each["annotations"].values()
                said[name] = " ".join([said.get(name, ""), *sentences])
        return said

    def _ask(self, what: str, **words: str) -> Any:
        answer = httpx.get(f"{self.server.url}/api/v1/{what}", params=words, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@contextmanager
def watching(port: int, folder: Path, env: Mapping[str, str]) -> Iterator[Prometheus]:
    """The server on `port`."""
    shutil.copytree(MONITORING / "prometheus", folder / "prometheus")
    told = folder / "prometheus" / "targets.yml"
    told.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}"]}]))
    own = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus' / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with server("prometheus", command, port=own, env=env, folder=folder, ready="/-/ready") as running:
        yield Prometheus(running)
