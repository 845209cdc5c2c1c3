"""A folder with a `.env` of its own, in which `python -m infra.local` is run as a person would run it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from dotenv import dotenv_values

from infra.local import leftovers
from tests.servers import ROOT, eventually, free_port, spawn

# Stands in for `python -m serving`: like the real one, a parent whose child holds the port.
SERVING = """
import http.server, os, subprocess, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
if "worker" in sys.argv:
    http.server.HTTPServer(("127.0.0.1", int(os.environ["SERVING_PORT"])), Health).serve_forever()
sys.exit(subprocess.call([sys.executable, "-m", "serving", "worker"]))
"""


@dataclass
class House:
    root: Path
    state: Path

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """`python -m infra.local ARGUMENTS`, with `env` over the environment."""
        command = [sys.executable, "-m", "infra.local", *arguments]
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment(), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, not waited for."""
        command = ["env", "-C", str(self.root), sys.executable, "-m", "infra.local", *arguments]
        with (self.root / "output").open("wb") as output:
            return spawn(command, self.environment(), output)

    def environment(self) -> dict[str, str]:
        """This process's, without anything that `.env` sets: the file is what is tested."""
        names = dotenv_values(ROOT / ".env.example")
        return {**{name: value for name, value in os.environ.items() if name not in names}, "PYTHONPATH": str(ROOT)}

    def change(self, **values: str | int) -> None:
        """Set names in `.env`, as an editor would: the lines that refer to them follow."""
        lines = [line for line in self._env.read_text().splitlines() if line.partition("=")[0] not in values]
        self._env.write_text("\n".join([*(f"{name}={value}" for name, value in values.items()), *lines]) + "\n")

    def serve(self, program: str) -> None:
        """Let `python -m serving` be this program."""
        (self.root / "serving").mkdir(exist_ok=True)
        (self.root / "serving" / "__init__.py").touch()
        (self.root / "serving" / "__main__.py").write_text(program)

    def port(self, name: str) -> int:
        return int(dotenv_values(self._env)[name] or "")

    def pid(self, program: str) -> int:
        """Of the oldest process of a program: the one that supervisord started."""
        found = leftovers.processes(self.state, program)
        return int(min(found, key=psutil.Process.create_time).pid) if found else 0

    def supervisord(self) -> psutil.Process:
        (found,) = [process for process in self.processes() if "supervisor.supervisord" in process.cmdline()]
        return found

    def processes(self) -> list[psutil.Process]:
        return leftovers.processes(self.state)

    def eventually_well(self, *programs: str) -> None:
        eventually(lambda: self.run("status", *programs).returncode == 0, seconds=60)

    @property
    def _env(self) -> Path:
        return self.root / ".env"


def a_house(root: Path, state: Path | None = None) -> House:
    root.mkdir(parents=True, exist_ok=True)
    (root / ".env").write_text((ROOT / ".env.example").read_text())
    house = House(root, state or root / ".slipway")
    ports = ("S3_PORT", "MLFLOW_PORT", "SERVING_PORT", "SERVING_GRPC_PORT")
    house.change(**{name: free_port() for name in ports}, SLIPWAY_STATE=str(house.state))
    house.serve(SERVING)
    return house
