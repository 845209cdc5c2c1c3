"""Can what is on S3 be read, with the keys that there are? As boto3 itself is told: by the AWS names."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble

CHECKSUMS = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
CODES = {
    "InvalidAccessKeyId": "s3-key-unknown",
    "SignatureDoesNotMatch": "s3-secret-wrong",
    "RequestTimeTooSkewed": "s3-clock",
    "AccessDenied": "s3-denied",
    "AllAccessDisabled": "s3-denied",
    "NoSuchBucket": "s3-bucket-missing",
}


def s3(scene: Scene) -> Iterator[Finding]:
    places = wanted(scene)
    endpoint = endpoint_of(scene.env)
    if not places:
        yield skipped("s3", "SERVING_JOBS__PLACE and SERVING_JOBS__FILES name no place: nothing of serving's is there")
        return
    yield from checksums(endpoint, scene.env)
    try:
        client = _client(scene)
    except Exception as error:  # noqa: BLE001 - botocore's are many: a region, a profile, an address
        yield trouble("s3-odd", f"{type(error).__name__}")
        return
    for each in places:
        wrong = _listed(client, each)
        yield wrong or fine("s3", f"{each}: its objects can be listed")
        if wrong is None and scene.write:
            yield _written(client, each)


def wanted(scene: Scene) -> list[str]:
    """Places, each once."""
    jobs = scene.settings.jobs
    return list(dict.fromkeys(each for each in (jobs.place, *jobs.files) if each))


def endpoint_of(env: Mapping[str, str]) -> str:
    """Empty: Amazon's."""
    return env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or ""


def checksums(endpoint: str, env: Mapping[str, str]) -> Iterator[Finding]:
    """Pure."""
    if not endpoint or (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return
    loose = [name for name in CHECKSUMS if env.get(name, "").lower() != "when_required"]
    if loose:
        yield trouble(
            "s3-checksums", f"{' and '.join(loose)}: not when_required, and {_shown(endpoint)} is not Amazon's"
        )


def _client(scene: Scene) -> Any:
    import boto3
    from botocore.config import Config

    seconds = scene.patience_seconds
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        connect_timeout=seconds,
        read_timeout=seconds,
    )
    return boto3.client("s3", config=config)


def _listed(client: Any, place: str) -> Finding | None:
    from botocore import exceptions

    bucket, key = _split(place)
    try:
        client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    except exceptions.NoCredentialsError:
        return trouble("s3-no-keys", f"{place}: there are no keys")
    except exceptions.ClientError as error:
        return refused(place, str(error.response.get("Error", {}).get("Code", "")))
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        return trouble("s3-unreachable", f"{place}: {type(error).__name__} at {_shown(client.meta.endpoint_url)}")
    except exceptions.BotoCoreError as error:
        return trouble("s3-odd", f"{place}: {type(error).__name__}")
    return None


def refused(place: str, code: str) -> Finding:
    """Pure."""
    return trouble(CODES.get(code, "s3-odd"), f"{place}: the server says {code[:60] or 'nothing that S3 would'}")


def _written(client: Any, place: str) -> Finding:
    """An object of our own, which is deleted again."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, key = _split(place)
    name = f"{key.rstrip('/')}/slipway-doctor-{uuid.uuid4().hex}".lstrip("/")
    said = b"written by python -m serving doctor --write"
    try:
        client.put_object(Bucket=bucket, Key=name, Body=said)
        try:
            same = client.get_object(Bucket=bucket, Key=name)["Body"].read() == said
        finally:
            client.delete_object(Bucket=bucket, Key=name)
    except (BotoCoreError, ClientError) as error:
        return trouble("s3-not-written", f"{place}: {type(error).__name__}")
    if not same:
        return trouble("s3-odd", f"{place}: what was written came back as something else")
    return fine("s3", f"{place}: an object was written, read and deleted")


def _split(place: str) -> tuple[str, str]:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key


def _shown(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
