"""Make the buckets that MLflow, DVC and jobs write to, where AWS_ENDPOINT_URL leads them."""

from urllib.parse import urlsplit

from infra.local.errors import StackError
from infra.local.settings import Settings

BUCKETS = ("mlflow", "dvc", "slipway-jobs")


def ensure(settings: Settings) -> None:
    """StackError when the server refuses, most likely for its keys."""
    from minio import Minio
    from minio.error import S3Error
    from urllib3.exceptions import HTTPError

    endpoint = urlsplit(settings.env["AWS_ENDPOINT_URL"])
    client = Minio(
        endpoint.netloc,
        access_key=settings.env["AWS_ACCESS_KEY_ID"],
        secret_key=settings.env["AWS_SECRET_ACCESS_KEY"],
        region=settings.env["AWS_DEFAULT_REGION"],  # else the client asks the server for it, which rclone cannot answer
        secure=endpoint.scheme == "https",
    )
    try:
        for bucket in BUCKETS:
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
    except (S3Error, HTTPError) as refused:
        raise StackError(f"s3 does not let us make buckets: {refused}") from refused
