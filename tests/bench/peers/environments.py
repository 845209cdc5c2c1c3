"""Which peers have a virtual environment in this checkout. Only looks; README.md has the commands that make them."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from tests.servers import ROOT

ENVIRONMENTS = ROOT / ".peers"
COMMANDS = "tests/bench/peers/README.md"
PEERS = {"mlserver": "MLServer", "litserve": "LitServe", "bentoml": "BentoML", "ray": "Ray Serve"}
"""By the name of the environment, which is that of the peer's package too."""


@dataclass(frozen=True)
class Environment:
    peer: str
    folder: Path

    @property
    def title(self) -> str:
        """As it stands in the table."""
        return PEERS[self.peer]

    @property
    def version(self) -> str | None:
        """Of the peer's package; None where it is not installed."""
        places = [str(place) for place in self.folder.glob("lib/python*/site-packages")]
        return next((each.version for each in Distribution.discover(name=self.peer, path=places)), None)

    def command(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def found(asked: Iterable[str], folder: Path = ENVIRONMENTS) -> list[Environment]:
    """One whose Python is gone, or without the peer in it, is not there."""
    looked = (Environment(peer, folder / peer) for peer in asked)
    return [each for each in looked if Path(each.command("python")).exists() and each.version]


def absent(asked: Iterable[str], there: Iterable[Environment]) -> str | None:
    """One line, for whoever wonders where their rows are; None if all are there."""
    have = {each.peer for each in there}
    titles = ", ".join(PEERS[peer] for peer in asked if peer not in have)
    return f"bench: not measured, for want of an environment: {titles} ({COMMANDS})" if titles else None
