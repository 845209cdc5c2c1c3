"""The place on S3 for what is too large for the jobs' database: bodies that wait, and results.

With the doctor the one door to boto3 in serving. Which server, and with which keys, is said by the names that boto3
itself reads.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from serving.errors import JobsUnreachable, NoJobs

if TYPE_CHECKING:
    from collections.abc import Iterator

_S3 = "s3://"
MOST_DELETED = 1000
"""S3's own limit of one request."""


class Shelf:
    """Blocks. JobsUnreachable when S3 is."""

    def __init__(self, place: str | None, public: str | None = None, *, url_seconds: int = 3600) -> None:
        """`place`: `s3://BUCKET/PREFIX`. `public`: the server as callers reach it."""
        self._place = None if place is None else place.rstrip("/")
        self._public, self._url_seconds = public, url_seconds
        self._clients: dict[str | None, Any] = {}

    def put(self, job: str, name: str, content: bytes) -> str:
        """Its address. NoJobs where there is no place."""
        if self._place is None:
            raise NoJobs("it is too large to be kept in the database, and SERVING_JOBS__PLACE names no place on S3")
        uri = f"{self._place}/{job}/{name}"
        bucket, key = _split(uri)
        with _reached():
            self._client(None).put_object(Bucket=bucket, Key=key, Body=content)
        return uri

    def get(self, uri: str) -> bytes:
        bucket, key = _split(uri)
        with _reached():
            content: bytes = self._client(None).get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

    def url(self, uri: str) -> str:
        """Where anybody can fetch it for a while, with no key."""
        bucket, key = _split(uri)
        with _reached():
            found: str = self._client(self._public).generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=self._url_seconds
            )
            return found

    def delete(self, uris: Sequence[str]) -> None:
        """What is not there is no error."""
        keys: dict[str, list[str]] = {}
        for uri in uris:
            bucket, key = _split(uri)
            keys.setdefault(bucket, []).append(key)
        for bucket, found in keys.items():
            for at in range(0, len(found), MOST_DELETED):
                wanted = [{"Key": key} for key in found[at : at + MOST_DELETED]]
                with _reached():
                    self._client(None).delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})

    def _client(self, endpoint: str | None) -> Any:
        """Made when it is first asked for: most servers never need one."""
        if endpoint not in self._clients:
            import boto3
            from botocore.config import Config

            # Paths and not host names: a server of one's own seldom has a name for every bucket.
            config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 2})
            self._clients[endpoint] = boto3.client("s3", endpoint_url=endpoint, config=config)
        return self._clients[endpoint]


def within(uri: str, prefixes: Sequence[str]) -> bool:
    """Is the address one of these places, or below one? `s3://a/b` has `s3://a/b/c` in it, and not `s3://a/bc`."""
    if not uri.startswith(_S3) or any(part in {".", ".."} for part in uri.split("/")):
        return False
    return any(uri.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(_S3).partition("/")
    return bucket, key


@contextmanager
def _reached() -> "Iterator[None]":
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise JobsUnreachable(f"S3: {type(error).__name__}") from error
