"""What MLflow's registry says, and its versions' files. With `runtimes/pyfunc.py` the only module that knows MLflow.

It must not know what serving does with a version.
"""

import os
import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from serving.errors import RegistryUnreachable
from serving.production import ALIAS, STAGE
from serving.protocol import Version, View

PATIENCE = {
    # MLflow's own defaults retry for four minutes; a poll that late helps nobody, and the next one is a second away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
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

    def download(self, version: Version, folder: Path) -> Path:
        # Its files may not be those its tags tell of, and no mark differs when the tag of an old version changes.
        self._read.pop(version.name, None)
        try:
            uri = self._client.get_model_version_download_uri(version.name, str(version.number))
            return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self._uri))
        except MlflowException as error:
            raise RegistryUnreachable(_reason(error)) from error

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
        return View(
            registered=True,
            in_production=tuple(_version(each) for each in versions if each.current_stage == STAGE),
            alias=next((_version(each) for each in versions if int(each.version) == aliases.get(ALIAS)), None),
            similar_aliases=tuple(alias for alias in sorted(aliases) if alias != ALIAS and alias.lower() == ALIAS),
        )


def _mark(registered: RegisteredModel) -> object:
    """Differs whenever a stage, an alias or a tag of the newest Production version differs.

    A change of stage stamps the registered model; a change of alias stamps nothing, so the aliases are in it.
    """
    latest = [(each.version, each.current_stage, each.tags) for each in registered.latest_versions]
    return registered.creation_timestamp, registered.last_updated_timestamp, registered.aliases, latest


def _version(found: ModelVersion) -> Version:
    return Version(
        name=found.name,
        number=int(found.version),
        created_ms=found.creation_timestamp,
        source=found.source or "",
        moved_ms=found.last_updated_timestamp or 0,
        tags=dict(found.tags),
    )


def _reason(error: MlflowException) -> str:
    """One short line without the password that an address may hold."""
    return re.sub(r"//[^/@\s]*@", "//", error.message.splitlines()[0])[:300]
