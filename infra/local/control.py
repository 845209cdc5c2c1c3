"""Start supervisord and talk to it: its own XML-RPC, over a socket in the state folder.

A socket's path has at most 108 bytes, fewer than many a folder's name. So supervisord is shown the folder through a
short link, and callers speak from inside the folder.
"""

import subprocess
import sys
from contextlib import chdir, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xmlrpc.client import Fault, ServerProxy  # our own supervisor, on a socket in our folder # nosec B411

from supervisor.xmlrpc import SupervisorTransport

from infra.local.errors import StackError
from infra.local.leftovers import MARK
from infra.local.settings import Settings

CONFIG = Path(__file__).with_name("supervisord.conf")
SOCKET = "supervisord.sock"


def call(state: Path, method: str, *arguments: object) -> Any:
    """The answer of supervisord's API; OSError when none listens, Fault when it refuses."""
    transport = SupervisorTransport(None, None, f"unix://{SOCKET}")
    with chdir(state), closing(transport):
        return getattr(ServerProxy("http://127.0.0.1", transport).supervisor, method)(*arguments)


def identity(settings: Settings) -> str | None:
    """The fingerprint of the settings that the running supervisord was started with; None when none runs."""
    try:
        return str(call(settings.state, "getIdentification"))
    except OSError:
        return None


def processes(settings: Settings) -> dict[str, dict[str, Any]]:
    """supervisord's view of each program, by name; empty when it does not run."""
    try:
        return {info["name"]: info for info in call(settings.state, "getAllProcessInfo")}
    except OSError:
        return {}


def start(settings: Settings) -> None:
    """Returns once supervisord listens; it starts no program by itself."""
    (settings.state / "logs").mkdir(parents=True, exist_ok=True)
    (settings.state / SOCKET).unlink(missing_ok=True)  # of one that was killed
    with TemporaryDirectory(prefix="slipway-") as short:
        link = Path(short, "state")
        link.symlink_to(settings.state)
        names = {MARK: str(settings.state), "LOCAL_SOCKET": str(link / SOCKET), "LOCAL_SETTINGS": settings.fingerprint}
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIG)],
            env={**settings.env, **names},
            cwd=settings.root,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # a Ctrl-C is for us; we then ask supervisord to stop
        )
    if done.returncode != 0:
        raise StackError(f"supervisord does not start: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def start_program(settings: Settings, name: str) -> None:
    """Returns at once. Whatever state the program is in, it starts afresh."""
    stop_program(settings, name)
    call(settings.state, "startProcess", name, False)


def stop_program(settings: Settings, name: str) -> None:
    """Returns when it has stopped; does nothing when it is not running."""
    try:
        call(settings.state, "stopProcess", name)
    except Fault as fault:
        if "NOT_RUNNING" not in fault.faultString:
            raise


def shut_down(settings: Settings) -> None:
    """Ask supervisord to stop everything and itself; `leftovers` tells when that has happened."""
    call(settings.state, "shutdown")
