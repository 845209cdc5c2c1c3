"""Does the registry say what to serve? Asked as the syncer asks it, with what the syncer would make of it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble
from serving.errors import RegistryUnreachable, VersionRefused
from serving.following import production
from serving.protocol import Version, View
from serving.runtimes import mlmodel
from serving.settings import TrustMode


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
            yield _files(registry, version)


def of(name: str, view: View, trust: TrustMode) -> Iterator[Finding]:
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
    if decision.version is not None and trust == "signed" and decision.version.manifest is None:
        yield trouble("model-unsigned", f"{name}: version {decision.version.number} is not signed, and will be refused")


def _files(registry: object, version: Version) -> Finding:
    from serving.following.registry import MlflowRegistry

    assert isinstance(registry, MlflowRegistry)  # noqa: S101 - said so, where its import would take seconds
    what = f"{version.name}: version {version.number}"
    with TemporaryDirectory(prefix="slipway-doctor-") as folder:
        try:
            registry.file(version, mlmodel.FILE, Path(folder))
            signature = mlmodel.read(Path(folder)).signature
        except (RegistryUnreachable, VersionRefused, OSError) as error:
            return trouble("model-files", f"{what}: its files cannot be read: {error}")
    if not signature.inputs:
        return trouble("model-without-signature", f"{what} has no signature")
    return fine("models", f"{what} is Production, and its files are within reach")
