"""What is generated is what its sources say."""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

GENERATED = ROOT / "serving" / "rpc" / "generated"


def test_the_grpc_code_is_that_of_the_protos(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(["sh", "serving/rpc/generate.sh", str(tmp_path)], cwd=ROOT, env=env, check=True)

    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    kept = {
        file.name: file.read_text() for file in GENERATED.iterdir() if file.is_file() and file.name != "__init__.py"
    }
    assert made == kept
