from urllib.parse import urlsplit

import httpx
import pytest
from minio import Minio

from serving.errors import JobsUnreachable, NoJobs
from serving.jobs.shelf import Shelf, within
from tests.servers import Stack


@pytest.fixture
def shelf(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    for name, value in stack.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    endpoint = urlsplit(stack.s3_url).netloc
    keys = stack.env["AWS_ACCESS_KEY_ID"], stack.env["AWS_SECRET_ACCESS_KEY"]
    client = Minio(endpoint, access_key=keys[0], secret_key=keys[1], region="us-east-1", secure=False)
    if not client.bucket_exists("jobs"):
        client.make_bucket("jobs")
    return Shelf("s3://jobs/kept/")


def test_what_is_put_there_can_be_had_again(shelf: Shelf) -> None:
    uri = shelf.put("job-1", "body", b"rows")

    assert uri == "s3://jobs/kept/job-1/body"
    assert shelf.get(uri) == b"rows"


def test_anybody_can_fetch_it_by_its_url(shelf: Shelf) -> None:
    url = shelf.url(shelf.put("job-2", "body", b"rows"))

    assert httpx.get(url).content == b"rows"
    assert httpx.get(url.partition("?")[0]).is_client_error


def test_a_url_names_the_server_as_callers_reach_it(shelf: Shelf, stack: Stack) -> None:
    shelf.put("job-3", "body", b"rows")
    public = Shelf("s3://jobs/kept", stack.s3_url.replace("127.0.0.1", "localhost"))

    url = public.url("s3://jobs/kept/job-3/body")

    assert urlsplit(url).hostname == "localhost"
    assert httpx.get(url).content == b"rows"


def test_what_is_deleted_is_gone_and_what_is_not_there_is_no_error(shelf: Shelf) -> None:
    uri = shelf.put("job-4", "body", b"rows")

    shelf.delete([uri, "s3://jobs/kept/never"])

    with pytest.raises(JobsUnreachable):
        shelf.get(uri)


def test_without_a_place_nothing_is_put_anywhere() -> None:
    with pytest.raises(NoJobs, match="SERVING_JOBS__PLACE"):
        Shelf(None).put("job", "body", b"")


def test_a_server_that_is_away_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(JobsUnreachable, match="S3"):
        Shelf("s3://jobs").get("s3://jobs/x")


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://a/b/c.csv", True),
        ("s3://a/b/c/d.csv", True),
        ("s3://a/bc.csv", False),
        ("s3://a/b", False),
        ("s3://other/b/c.csv", False),
        ("s3://a/b/../secret.csv", False),
        ("/a/b/c.csv", False),
        ("file:///a/b/c.csv", False),
    ],
)
def test_a_file_is_within_a_place_or_it_is_not(uri: str, *, allowed: bool) -> None:
    assert within(uri, ("s3://a/b",)) is allowed
    assert within(uri, ("s3://nowhere", "s3://a/b/")) is allowed
    assert not within(uri, ())
