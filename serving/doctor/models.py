"""Does the registry say what to serve? Asked as the syncer asks it, with what the syncer would make of it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from serving import trust
from serving.doctor.finding import Finding, Scene, fine, skipped, trouble
from serving.errors import RegistryUnreachable, VersionRefused
from serving.following import production
from serving.protocol import Version, View
from serving.runtimes import mlmodel
from serving.settings import Settings, TrustMode


class Files(Protocol):
    """As `MlflowRegistry` has them."""

    def file(self, version: Version, name: str, folder: Path) -> None:
        """RegistryUnreachable."""


def models(scene: Scene) -> Iterator[Finding]:
    if scene.settings.offline:
        yield skipped("models", "SERVING_OFFLINE is true: the store says what is served")
        return
    from serving.following.registry import MlflowRegistry  # seconds to import

    registry = MlflowRegistry(scene.settings.tracking_uri)
    for name in scene.settings.models:
        try:
            view = registry.read(name)
        except RegistryUnreachable as error:
            if scene.settings.tracking_uri.startswith(("http://", "https://")):
                yield skipped("models", "the registry does not tell: see what is said of it")
            else:
                yield trouble("registry-unreachable", f"{name}: {error}")
            return
        version = production.choose(None, view).version
        yield from of(name, view, scene.settings.trust)
        if version is not None:
            yield from _files(registry, version, scene.settings)


def of(name: str, view: View, mode: TrustMode) -> Iterator[Finding]:
    """Pure."""
    decision = production.choose(None, view)
    if not view.registered:
        yield trouble("model-unknown", f"{name}: the registry has no model of that name")
    elif decision.version is None:
        yield trouble("model-not-promoted", f"{name}: no version is Production yet")
    for each in decision.disagreements:
        yield trouble("model-disagreement", f"{name}: {each}")
    if view.trial_fault is not None:
        yield trouble("model-candidate", f"{name}: {view.trial_fault}")
    if decision.version is not None and mode == "signed" and decision.version.manifest is None:
        yield trouble("model-unsigned", f"{name}: version {decision.version.number} is not signed, and will be refused")


def _files(registry: Files, version: Version, settings: Settings) -> Iterator[Finding]:
    what = f"{version.name}: version {version.number}"
    with TemporaryDirectory(prefix="slipway-doctor-") as name:
        folder = Path(name)
        try:
            registry.file(version, mlmodel.FILE, folder)
            signature = mlmodel.read(folder).signature
        except (RegistryUnreachable, VersionRefused, OSError) as error:
            yield trouble("model-files", f"{what}: its files cannot be read: {error}")
            return
        if not signature.inputs:
            yield trouble("model-without-signature", f"{what} has no signature")
        else:
            yield fine("models", f"{what} is Production, and its files are within reach")
        if settings.trust == "signed" and version.manifest is not None:
            yield signed(registry, version, settings.trust_keys, folder)


def signed(registry: Files, version: Version, keys: tuple[bytes, ...], folder: Path) -> Finding:
    """By one of `keys`? `folder` is empty, but for other files."""
    what = f"{version.name}: version {version.number}"
    try:
        for name in (trust.FILE, trust.SIGNATURE):
            registry.file(version, name, folder)
        manifest, signature = (folder / trust.FILE).read_bytes(), (folder / trust.SIGNATURE).read_bytes()
    except (RegistryUnreachable, OSError):
        return trouble("model-unsigned", f"{what} has no signature of its files, and will be refused")
    if not any(trust.made_by(key, signature, manifest) for key in keys):
        return trouble("model-other-key", f"{what} was signed with none of the keys in SERVING_TRUST_KEYS")
    return fine("models", f"{what} is signed with a key that is trusted")
