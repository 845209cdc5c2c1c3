"""Who may do what on S3: three users, each with the least that its part of the stack needs. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
_OBJECTS = (
    *("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
    *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
)


class Area(NamedTuple):
    """A bucket, or what is below a prefix of it, which ends with a slash."""

    bucket: str
    prefix: str = ""


AREAS: dict[str, tuple[Area, ...]] = {
    "mlflow": (Area("mlflow"),),
    # On the host: DVC, the pipelines, and people who put down files for jobs.
    "host": (Area("dvc"), Area("slipway-jobs", "files/")),
    "serving": (Area("slipway-jobs"),),
}


def policy(areas: Sequence[Area]) -> dict[str, Any]:
    """As AWS writes it, and so MinIO. Who lists a bucket of which he has a part must ask for that part."""
    return {"Version": "2012-10-17", "Statement": [part for area in areas for part in _statements(area)]}


def _statements(area: Area) -> list[dict[str, Any]]:
    bucket = f"arn:aws:s3:::{area.bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": list(_BUCKET), "Resource": [bucket]}
    if area.prefix:
        listing |= {"Action": ["s3:ListBucket"], "Condition": {"StringLike": {"s3:prefix": [f"{area.prefix}*"]}}}
    return [listing, {"Effect": "Allow", "Action": list(_OBJECTS), "Resource": [f"{bucket}/{area.prefix}*"]}]
