"""The folder of a run's parts, here or on S3: what is in it, what goes out of it, and its end.

On S3 by boto3. Arrow, which reads and writes the files, keeps folders there by empty objects that it makes anew
whenever it removes a file; some S3 servers refuse those.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from serving.scoring.places import Place, is_here


class Folder(Protocol):
    """Each raises OSError."""

    path: str

    def names(self) -> list[str]:
        """Of the files in it; none when it is not there."""

    def remove(self, name: str) -> None:
        """Nothing when it is not there."""

    def publish(self, name: str, path: str) -> None:
        """Give a file the path of the output, whatever is there; it appears there whole."""

    def end(self) -> None:
        """The empty folder."""


def folder(out: Place) -> Folder:
    """Beside the output; made when it is not there. OSError."""
    path = f"{out.path}.parts"
    return Here(path) if is_here(out) else Bucket(path)


class Here:
    def __init__(self, path: str) -> None:
        self.path, self._folder = path, Path(path)
        self._folder.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(each.name for each in self._folder.iterdir())

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def publish(self, name: str, path: str) -> None:
        (self._folder / name).replace(path)

    def end(self) -> None:
        with suppress(OSError):  # somebody has put something there
            self._folder.rmdir()


class Bucket:
    """There is no such thing as a folder in it: the beginning of a key."""

    def __init__(self, path: str) -> None:
        import boto3

        self.path = path
        self._bucket, _, self._key = path.partition("/")
        self._client: Any = boto3.client("s3")

    def names(self) -> list[str]:
        with _reached(self.path):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{self._key}/")
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return sorted(key.removeprefix(f"{self._key}/") for key in keys)

    def remove(self, name: str) -> None:
        with _reached(self.path):
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._key}/{name}")

    def publish(self, name: str, path: str) -> None:
        bucket, _, key = path.partition("/")
        with _reached(path):
            # In several requests where it is large; it appears with the last one.
            self._client.copy({"Bucket": self._bucket, "Key": f"{self._key}/{name}"}, bucket, key)
        self.remove(name)

    def end(self) -> None:
        """It went with its last file."""


@contextmanager
def _reached(path: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OSError(f"s3://{path}: {error}") from error
