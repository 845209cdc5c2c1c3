"""What `infra/setup.sh` tells uv, with a uv that only writes down how it was called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

UV = """#!/bin/sh
echo "certs=${UV_SYSTEM_CERTS-unset} index=${UV_DEFAULT_INDEX-unset} $*"
"""
PYTHON = """#!/bin/sh
exit 0
"""


def set_up(folder: Path, **env: str) -> str:
    """Run in a folder whose .venv is there already."""
    bin_ = folder / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name, program in (("uv", UV), ("python", PYTHON)):
        (bin_ / name).write_text(program)
        (bin_ / name).chmod(0o755)
    (folder / ".venv" / "pyvenv.cfg").write_text(f"command = python -m venv {folder.resolve()}/.venv\n")
    (folder / "infra").mkdir()
    (folder / "infra" / "setup.sh").write_text((ROOT / "infra" / "setup.sh").read_text())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    command = ["sh", str(folder / "infra" / "setup.sh")]
    env = {**inherited, "PYTHON": sys.executable, **env}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("env", "certs"), [({}, "true"), ({"UV_SYSTEM_CERTS": "false"}, "false")])
def test_uv_trusts_whom_this_machine_trusts_unless_told_otherwise(
    tmp_path: Path, env: dict[str, str], certs: str
) -> None:
    assert f"certs={certs} " in set_up(tmp_path, **env)


def test_uv_takes_the_package_index_that_pip_is_told(tmp_path: Path) -> None:
    assert "index=https://packages.test/simple " in set_up(tmp_path, PIP_INDEX_URL="https://packages.test/simple")
