"""Have a version's files here, verified, and make a model of them as a worker does: a twin here, else in a host."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from serving import own_hosts
from serving.admission.rules import Rules
from serving.hosting.hosted import Hosts
from serving.protocol import Model, Registry
from serving.runtimes import mlmodel, twin
from serving.scoring.choosing import Choice
from serving.settings import Settings
from serving.store import holds
from serving.store.versions import Bounds, Store
from serving.trust import Found, Trust


@contextmanager
def loaded(
    choice: Choice, registry: Registry | None, settings: Settings, door: Path | None = None
) -> Iterator[tuple[Model, Found]]:
    """And what vouches for it. VersionRefused, RegistryUnreachable, OSError.

    `door`: to a fork server that is there already; else one is started where it is needed.
    """
    with ExitStack() as held:
        folder = choice.folder
        if folder is None:
            assert registry is not None  # noqa: S101 - a choice made without a registry has a folder
            # Not in the store of a server: its syncer alone knows what is in use there.
            home = Path(held.enter_context(TemporaryDirectory(prefix="slipway-")))
            store = Store(home, Bounds(largest=settings.largest_version))
            folder = store.fetch(choice.version, registry.download, registry.size)
        holds.hold(folder, choice)
        check = partial(Trust(settings.trust, settings.trust_keys, warns=False).check, folder, choice.version)
        vouched = check()
        yield held.enter_context(_model(folder, check, settings, door)), vouched


@contextmanager
def _model(folder: Path, check: partial[Found], settings: Settings, door: Path | None) -> Iterator[Model]:
    found = twin.usable(mlmodel.read(folder), settings.runtime)
    if found is not None:
        yield found
        return
    with nullcontext(door) if door is not None else own_hosts.served(settings.models) as hosting:
        rules = Rules.set_by(settings)
        hosts = Hosts(hosting, settings.runtime, rules, patience_seconds=settings.load_seconds)
        yield hosts.load(folder, check)
