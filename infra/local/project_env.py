"""Let plain `mlflow run .` run in .venv; MLflow would otherwise want pyenv, and build an environment of its own.

MLflow looks for an environment by a name it computes, below MLFLOW_ENV_ROOT, and takes what is there. `infra/setup.sh`
calls this once: the name becomes a link back to .venv.
"""

import sys
from pathlib import Path

from mlflow.utils.environment import _PythonEnv
from mlflow.utils.virtualenv import _get_virtualenv_name

FOLDER = "envs"
"""Below .venv, so that it goes when .venv goes; .env.example names it as MLFLOW_ENV_ROOT."""


def main() -> None:
    root = Path(sys.prefix) / FOLDER
    root.mkdir(exist_ok=True)
    # MLproject names no environment: MLflow then asks for this Python version and nothing else.
    link = root / _get_virtualenv_name(_PythonEnv(), Path())  # type: ignore[no-untyped-call] # MLflow has no types here
    link.unlink(missing_ok=True)
    link.symlink_to("..", target_is_directory=True)


if __name__ == "__main__":
    main()
