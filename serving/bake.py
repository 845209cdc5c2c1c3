"""`python -m serving.bake FOLDER`: make a store that holds each model's Production version, to serve with no registry.

Does once what the syncer does at every poll: fetch, verify, try, post. FOLDER appears whole, by one rename, or not at
all.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import load_dotenv

from serving import logs, own_hosts, settings
from serving.admission.rules import Rules
from serving.errors import FollowFailed, VersionRefused
from serving.following.follower import Follower, Outage, Tools
from serving.following.registry import MlflowRegistry
from serving.hosting.hosted import Hosts
from serving.settings import Settings
from serving.store.posted import Board, Posting
from serving.store.versions import Store
from serving.trust import Found, Trust

MISCONFIGURED = 2
INTERRUPTED = 130
VOUCHED: dict[Found, str] = {
    "signed": "signed",
    "digest": "not signed, as its manifest describes it",
    "none": "not signed, and it has no manifest",
}


class NotBaked(Exception):
    """`lines`: the reasons, each naming a model or the folder."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.bake", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder, or an empty one")
    folder: Path = parser.parse_args().folder.absolute()
    load_dotenv(".env")
    try:
        chosen = settings.read()
    except settings.SettingsInvalid as error:
        return _refuse(error.lines, status=MISCONFIGURED)
    if chosen.offline:
        line = "SERVING_OFFLINE: is true, and what is baked comes from the registry; set it to false for this command"
        return _refuse([line], status=MISCONFIGURED)
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    # What these two say of a version is said by us, with what came of it; how the download went is nobody's question.
    logging.getLogger("serving").setLevel(logging.WARNING)
    logging.getLogger("serving.following.follower").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is half made is cleared away
    try:
        lines = make(chosen, folder)
    except KeyboardInterrupt:
        return INTERRUPTED
    except NotBaked as refusal:
        return _refuse(refusal.lines, status=1)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def make(chosen: Settings, folder: Path) -> list[str]:
    """The store `folder`; a line for each model that says what is in it. NotBaked, and nothing is there then."""
    try:
        if folder.is_mount() or (folder.exists() and any(folder.iterdir())):
            raise NotBaked([f"{folder} is not empty, or something is mounted there; name a new folder, also in it"])
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, for a rename does not leave the disk.
        with (
            TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as beside,
            own_hosts.served(chosen.models) as hosts,
        ):
            store = Store(Path(beside) / "store")
            tools = Tools(
                MlflowRegistry(chosen.tracking_uri),
                store,
                Board(chosen.models, store.folder),
                Hosts(hosts, chosen.runtime, Rules.set_by(chosen), patience_seconds=chosen.load_seconds).attempt,
                Trust(chosen.trust, chosen.trust_keys),
            )
            lines = fill(tools)
            store.folder.rename(folder)
            return lines
    except OSError as error:
        raise NotBaked([f"{folder}: {error.strerror or error}"]) from error


def fill(tools: Tools) -> list[str]:
    """Bring the Production version of every model into the store. NotBaked has a line for each that has none."""
    said: list[str] = []
    refused: list[str] = []
    for name in tools.board.names:
        try:
            said.append(f"{name}: {_bring(name, tools)}")
        except (FollowFailed, OSError) as error:
            refused.append(f"{name}: {error}")
    if refused:
        raise NotBaked(refused)
    return said


def _bring(name: str, tools: Tools) -> str:
    """What is in the store now. FollowFailed, OSError."""
    tools.registry.read(name)  # RegistryUnreachable: a follower would wait until it is back
    Follower(name, tools, Outage()).poll()
    posting = tools.board.posting(name)
    version = posting.version
    if version is None:
        raise VersionRefused(posting.waiting_for)
    tools.store.keep(name, [version])
    # Without what the registry may say otherwise in a minute: nobody who serves this could put it right.
    tools.board.put(Posting(name, version, posting.folder))
    vouched = VOUCHED[tools.trust.check(tools.store.folder / posting.folder, version)]
    return "; ".join([f"version {version.number}, {vouched}", *posting.disagreements])


def _refuse(lines: list[str], *, status: int) -> int:
    sys.stderr.writelines(f"bake: {line}\n" for line in lines)
    return status


if __name__ == "__main__":
    sys.exit(main())
