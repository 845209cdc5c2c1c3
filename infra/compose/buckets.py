"""Make the buckets that MLflow, DVC and jobs write to, on whatever S3 server AWS_ENDPOINT_URL names.

`python -m infra.compose.buckets` is a job of docker-compose.yml, run at each `up`: what is there stays as it is.
"""

import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from infra.local.buckets import BUCKETS


def ensure(env: Mapping[str, str]) -> None:
    """S3Error or HTTPError when the server refuses, most likely for its keys."""
    endpoint = urlsplit(env["AWS_ENDPOINT_URL"])
    client = Minio(
        endpoint.netloc,
        access_key=env["AWS_ACCESS_KEY_ID"],
        secret_key=env["AWS_SECRET_ACCESS_KEY"],
        region=env["AWS_DEFAULT_REGION"],  # else the client asks the server for it, which not every server can answer
        secure=endpoint.scheme == "https",
    )
    for bucket in BUCKETS:
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)


def main() -> None:
    try:
        ensure(os.environ)
    except (S3Error, HTTPError) as refused:
        sys.exit(f"slipway: s3 does not let us make buckets: {refused}")


if __name__ == "__main__":
    main()
