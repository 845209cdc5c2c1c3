"""Make the buckets that MLflow, DVC and jobs write to, and a user for each who may use no other.

`python -m infra.compose.buckets` is a job of docker-compose.yml, run at each `up`, and the only one with the root
user's key. Buckets are made by S3's own means; users by MinIO's, where the server has them.
"""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error
from urllib3.exceptions import HTTPError

from infra.compose.policies import AREAS, policy
from infra.local.buckets import BUCKETS

USERS = {
    "mlflow": ("S3_MLFLOW_USER", "S3_MLFLOW_PASSWORD"),
    "host": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "serving": ("S3_SERVING_USER", "S3_SERVING_PASSWORD"),
}
ROOT = ("S3_ROOT_USER", "S3_ROOT_PASSWORD")


class Keys(NamedTuple):
    user: str
    password: str


class NoUsers(Exception):
    """What is to be done by hand."""


def ensure(env: Mapping[str, str]) -> None:
    """S3Error or HTTPError when the server refuses, most likely for its keys; NoUsers."""
    client = _client(env, _keys(env, ROOT))
    for bucket in BUCKETS:
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
    try:
        _make_users(env)
    except MinioAdminException as error:
        # A server of another kind, or one that keeps its users elsewhere: then they have to be there.
        if refused := [name for name in USERS if not _may_use_its_own(env, name)]:
            raise NoUsers(
                f"it takes no users from here ({str(error)[:200]}); make them yourself, with the policies that `python "
                f"-m infra.compose.buckets --policies` prints. Refused: {', '.join(refused)}"
            ) from error
        sys.stderr.write("slipway: s3 has its users from elsewhere; what each may do is its own affair\n")


def _make_users(env: Mapping[str, str]) -> None:
    endpoint = urlsplit(env["AWS_ENDPOINT_URL"])
    admin = MinioAdmin(
        endpoint=endpoint.netloc,
        credentials=StaticProvider(*_keys(env, ROOT)),
        region=env["AWS_DEFAULT_REGION"],
        secure=endpoint.scheme == "https",
    )
    for name, names in USERS.items():
        user, password = _keys(env, names)
        admin.policy_add(f"slipway-{name}", policy=policy(AREAS[name]))
        admin.user_add(user, password)
        admin.policy_set(f"slipway-{name}", user=user)


def _may_use_its_own(env: Mapping[str, str], name: str) -> bool:
    client = _client(env, _keys(env, USERS[name]))
    try:
        for area in AREAS[name]:
            next(iter(client.list_objects(area.bucket, area.prefix)), None)
    except MinioException:  # S3Error, or an answer that is none
        return False
    return True


def _keys(env: Mapping[str, str], names: tuple[str, str]) -> Keys:
    return Keys(*(env[name] for name in names))


def _client(env: Mapping[str, str], keys: Keys) -> Minio:
    endpoint = urlsplit(env["AWS_ENDPOINT_URL"])
    return Minio(
        endpoint.netloc,
        access_key=keys.user,
        secret_key=keys.password,
        region=env["AWS_DEFAULT_REGION"],  # else the client asks the server for it, which not every server can answer
        secure=endpoint.scheme == "https",
    )


def main() -> None:
    if sys.argv[1:] == ["--policies"]:
        import json

        sys.stdout.write(json.dumps({name: policy(areas) for name, areas in AREAS.items()}, indent=2) + "\n")
        return
    try:
        ensure(os.environ)
    except NoUsers as todo:
        sys.exit(f"slipway: s3: {todo}")
    except (S3Error, HTTPError) as refused:
        sys.exit(f"slipway: s3 does not let us make buckets: {refused}")


if __name__ == "__main__":
    main()
