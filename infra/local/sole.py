"""Become a program, once nothing is left of its forerunner.

`python -m infra.local.sole PROGRAM ARGUMENT...`, as supervisord.conf calls it. When the main process of MLflow or
serving is killed, its children live on and hold the port: without this the restarted program would find it taken.
"""

import os
import sys
from pathlib import Path

from infra.local import leftovers


def main() -> None:
    state, program = Path(os.environ[leftovers.MARK]), os.environ["SUPERVISOR_PROCESS_NAME"]
    leftovers.end(leftovers.processes(state, program))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
