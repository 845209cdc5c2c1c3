"""MLflow's S3 store for `--artifacts-destination proxied-s3://BUCKET`: every byte goes through the tracking server.

MLflow's own one tells clients to fetch files from S3 itself, at the address that the *server* uses. Outside of the
containers nobody knows the host `s3`: clients would retry for minutes and fail. The image registers it as a plugin.
"""

# mypy: allow-untyped-calls
# Half of MLflow's functions have no annotations.

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

SCHEME = "proxied-s3"


class ProxiedS3(ArtifactRepository):
    """Without the multipart and presigned parts of S3ArtifactRepository the server does not offer them to clients."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._s3 = S3ArtifactRepository(f"s3{artifact_uri.removeprefix(SCHEME)}", tracking_uri, registry_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._s3.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._s3.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return list(self._s3.list_artifacts(path))

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._s3.delete_artifacts(artifact_path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._s3._download_file(remote_file_path, local_path)  # MLflow's own name for what a store must offer
