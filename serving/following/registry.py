"""What MLflow's registry says, and its versions' files. With `runtimes/pyfunc.py` the only module that knows MLflow.

It must not know what serving does with a version.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import FileInfo
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from serving.errors import RegistryUnreachable
from serving.following.production import ALIAS, STAGE
from serving.protocol import Version, View
from serving.trials import candidate

PATIENCE = {
    # MLflow's own defaults retry for four minutes; a poll that late helps nobody, and the next one is a second away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # By presigned addresses MLflow's client would try a dead S3 for four minutes, whatever it is told.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MlflowRegistry:
    def __init__(self, tracking_uri: str) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        self._uri = tracking_uri
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._read: dict[str, tuple[object, View]] = {}

    def read(self, name: str) -> View:
        """One request; a second one only when the first shows that something changed."""
        try:
            registered = self._client.get_registered_model(name)
            mark = _mark(registered)
            known, view = self._read.get(name, (None, View()))
            if mark != known:
                view = self._view(registered)
                self._read[name] = mark, view
            return view
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return View()
            raise RegistryUnreachable(_reason(error)) from error

    def find(self, name: str, number: int) -> Version | None:
        """Whatever its stage; None where there is no such version. RegistryUnreachable."""
        try:
            return _version(self._client.get_model_version(name, str(number)))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise RegistryUnreachable(_reason(error)) from error

    def size(self, version: Version) -> int | None:
        try:
            files = get_artifact_repository(self._source(version), tracking_uri=self._uri)
            sizes = [each.file_size for each in _listed(files)]
        except (MlflowException, OSError) as error:  # requests' errors are among these
            raise RegistryUnreachable(_reason(error)) from error
        known = [each for each in sizes if each is not None]
        return sum(known) if len(known) == len(sizes) else None

    def download(self, version: Version, folder: Path) -> Path:
        # Its files may not be those its tags tell of, and no mark differs when the tag of an old version changes.
        self._read.pop(version.name, None)
        try:
            uri = self._source(version)
            return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self._uri))
        except (MlflowException, OSError) as error:
            raise RegistryUnreachable(_reason(error)) from error

    def file(self, version: Version, name: str, folder: Path) -> None:
        """Put one file of `version` into `folder`. RegistryUnreachable."""
        try:
            files = get_artifact_repository(self._source(version), tracking_uri=self._uri)
            files.download_artifacts(name, str(folder))  # type: ignore[no-untyped-call]
        except (MlflowException, OSError) as error:
            raise RegistryUnreachable(_reason(error)) from error

    def _source(self, version: Version) -> str:
        return str(self._client.get_model_version_download_uri(version.name, str(version.number)))

    def _view(self, registered: RegisteredModel) -> View:
        versions: list[ModelVersion] = []
        page: str | None = None
        # The registered model itself shows only the highest version of a stage, and several may be in it.
        while True:
            found = self._client.search_model_versions(f"name='{registered.name}'", page_token=page)
            versions.extend(found)
            page = found.token
            if not page:
                break
        aliases = {alias: int(number) for alias, number in registered.aliases.items()}
        known = {int(each.version): _version(each) for each in versions}
        trial, fault = candidate.read(registered.tags.get(candidate.TAG), known)
        return View(
            registered=True,
            in_production=tuple(known[int(each.version)] for each in versions if each.current_stage == STAGE),
            alias=known.get(aliases.get(ALIAS, 0)),
            similar_aliases=tuple(alias for alias in sorted(aliases) if alias != ALIAS and alias.lower() == ALIAS),
            trial=trial,
            trial_fault=fault,
        )


def _listed(files: ArtifactRepository, folder: str = "") -> Iterator[FileInfo]:
    for each in files.list_artifacts(folder or None):
        if not each.is_dir:
            yield each
        elif each.path != folder:  # some servers list a folder in itself
            yield from _listed(files, each.path)


def _mark(registered: RegisteredModel) -> object:
    """Differs whenever a stage, an alias, the candidate or a tag of the newest Production version differs.

    A change of stage stamps the registered model; a change of alias or of the candidate's tag stamps nothing, so they
    are in it.
    """
    latest = [(each.version, each.current_stage, each.tags) for each in registered.latest_versions]
    said = registered.aliases, registered.tags.get(candidate.TAG)
    return registered.creation_timestamp, registered.last_updated_timestamp, said, latest


def _version(found: ModelVersion) -> Version:
    return Version(
        name=found.name,
        number=int(found.version),
        created_ms=found.creation_timestamp,
        source=found.source or "",
        moved_ms=found.last_updated_timestamp or 0,
        tags=dict(found.tags),
    )


def _reason(error: Exception) -> str:
    """One short line without the password that an address may hold."""
    lines = str(error).splitlines() or [type(error).__name__]
    said = lines[0] if not lines[0].endswith(":") else " ".join(lines[:3])  # of several files that failed, the first
    return re.sub(r"//[^/@\s]*@", "//", said)[:300]
