"""One followed model, with a registry and a clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.following.candidacy import Run
from serving.following.follower import Follower, Outage, Tools
from serving.protocol import Version, View
from serving.store.posted import Board, Candidate, Posting
from serving.store.versions import Bounds, Store
from serving.trust import Trust
from tests.fakes import Clock, FakeRegistry, a_version
from tests.serving.manifests import OURS, write_manifest

V1, V2 = a_version(1), a_version(2)


def at_once(work: Callable[[], None]) -> None:
    work()


@dataclass
class Scene:
    """One followed model; `poll()` is a turn of the loop."""

    folder: Path
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    clock: Clock = field(default_factory=Clock)
    trust: Trust = field(default_factory=lambda: Trust("off"))
    bounds: Bounds = field(default_factory=Bounds)
    unloadable: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    """What the files of the versions said that were tried."""
    run: Run = at_once
    """How candidates are tried."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As a new process does, on what the one before has left."""
        self.board = Board(("iris",), self.folder)
        self.attempts: Callable[[Path], None] = self.tried_out
        self.unwanted: Callable[[], bool] = lambda: False
        store = Store(self.folder, self.bounds)
        tools = Tools(self.registry, store, self.board, self.try_out, self.trust, self.clock)
        self.follower = Follower("iris", tools, Outage(), self.run)

    def try_out(self, folder: Path, unwanted: Callable[[], bool]) -> None:
        self.unwanted = unwanted
        self.attempt(folder)

    def attempt(self, folder: Path) -> None:
        self.attempts(folder)

    def tried_out(self, folder: Path) -> None:
        self.tried.append((folder / "MLmodel").read_text())
        if (folder / "MLmodel").read_text() in self.unloadable:
            raise ImportError("no module named xgboost")

    def poll(self, view: View | None = None, *, times: int = 1) -> int | None:
        """The number of the version that is posted afterwards."""
        self.registry.view = self.registry.view if view is None else view
        for _ in range(times):
            self.follower.poll()
        return self.posting.version.number if self.posting.version else None

    @property
    def posting(self) -> Posting:
        return self.board.posting("iris")

    @property
    def candidate(self) -> Candidate:
        assert self.posting.candidate is not None
        return self.posting.candidate


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def stored(scene: Scene) -> list[str]:
    return sorted(home.name[0] for home in (scene.folder / "iris").iterdir())


@dataclass
class Signing(FakeRegistry):
    """Every version comes with a manifest that `key` has signed; some were tampered with after that."""

    key: Ed25519PrivateKey | None = OURS
    tampered: set[int] = field(default_factory=set)
    more: str | None = None
    """A file that the versions have got since."""

    def download(self, version: Version, folder: Path) -> Path:
        home = super().download(version, folder)
        if self.more is not None:
            (home / self.more).touch()
        write_manifest(home, self.key)
        if version.number in self.tampered:
            (home / "MLmodel").write_text("of somebody else")
        return home

    def version(self, number: int) -> Version:
        """As the registry shows it now, its manifest's tag included."""
        with TemporaryDirectory() as name:
            return replace(a_version(number), tags=write_manifest(self.download(a_version(number), Path(name))))


def reason(scene: Scene) -> str:
    assert scene.posting.refusal is not None
    return scene.posting.refusal.reason
