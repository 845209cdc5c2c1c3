"""Have a version's files here, verified, and make a model of them as a worker does: a twin here, else in a host."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from serving import own_hosts
from serving.admission.rules import Rules
from serving.hosting.hosted import HostedModel, Hosts
from serving.protocol import Model, Registry, Version
from serving.runtimes import mlmodel, twin
from serving.scoring.choosing import Choice
from serving.settings import Settings
from serving.store import holds
from serving.store.versions import Bounds, Store
from serving.trust import Found, Trust


@contextmanager
def fetched(choice: Choice, registry: Registry | None, settings: Settings) -> Iterator[Path]:
    """The folder of its files, for as long as the block. VersionRefused, RegistryUnreachable, OSError."""
    with ExitStack() as held:
        folder = choice.folder
        if folder is None:
            assert registry is not None  # noqa: S101 - a choice made without a registry has a folder
            # Not in the store of a server: its syncer alone knows what is in use there.
            home = Path(held.enter_context(TemporaryDirectory(prefix="slipway-")))
            store = Store(home, Bounds(largest=settings.largest_version))
            folder = store.fetch(choice.version, registry.download, registry.size)
        holds.hold(folder, choice)
        yield folder


@contextmanager
def loaded(
    folder: Path, version: Version, settings: Settings, door: Path | None = None
) -> Iterator[tuple[Model, Found]]:
    """The model of its files, verified, and what vouches for them. VersionRefused, OSError.

    `door`: to a fork server that is there already.
    """
    check = partial(Trust(settings.trust, settings.trust_keys, warns=False).check, folder, version)
    vouched = check()
    found = twin.usable(mlmodel.read(folder), settings.runtime)
    if found is not None:
        yield found, vouched
        return
    with own_hosts.served(settings.models) if door is None else nullcontext(door) as hosts:
        model = Hosts(hosts, settings.runtime, Rules.set_by(settings), patience_seconds=settings.load_seconds).load(
            folder, check
        )
        try:
            yield model, vouched
        finally:
            if isinstance(model, HostedModel):
                model.end()  # a fork server that is told to end gives hosts seconds to do so before it
