"""Become the MLflow tracking server: SQLite behind it, artifacts proxied to the bucket `mlflow`.

`python -m infra.local.tracking` reads MLFLOW_PORT, SLIPWAY_STATE and the AWS_* names, and replaces itself with the
server.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

BUCKET = "mlflow"


def command(env: Mapping[str, str]) -> list[str]:
    """The server's command line. Clients need no S3 keys: artifacts go through the server."""
    database = (Path(env["SLIPWAY_STATE"]) / "mlflow.db").resolve()
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", env["MLFLOW_PORT"]),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--artifacts-destination", f"s3://{BUCKET}"),
        # SQLite has one writer anyway, and each worker costs 260 MB.
        *("--workers", "1"),
    ]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the parts of MLflow that Slipway has no use for turned off; the job runner alone costs 0.6 GB."""
    server = {name: value for name, value in env.items() if name != "MLFLOW_TRACKING_URI"}
    return {**server, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_ENABLE_AI_GATEWAY": "false"}


def main() -> None:
    program = command(os.environ)
    Path(os.environ["SLIPWAY_STATE"]).mkdir(parents=True, exist_ok=True)
    os.execve(program[0], program, environment(os.environ))


if __name__ == "__main__":
    main()
