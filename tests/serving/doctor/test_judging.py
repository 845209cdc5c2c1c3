"""What is said of what was seen: no server, no disk, no clock."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.doctor import clock, finding, http, machine, models, registry, s3
from serving.doctor import jobs as jobs_check
from serving.doctor.declared import TROUBLES
from serving.doctor.finding import Finding
from serving.doctor.http import Seen
from serving.doctor.machine import Machine
from serving.metrics import usage
from serving.protocol import View
from tests.fakes import a_version

HOSTS = "Invalid Host header - possible DNS rebinding attack detected"
BIG = Machine(8, 64 << 30, 65536)
SIGNED = replace(a_version(3), tags={"slipway.manifest": "0" * 64})


def codes(findings: object) -> list[str]:
    assert isinstance(findings, list)
    return [each.code for each in findings if each.code]


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (403, HOSTS, "registry-hosts"),
        (403, "Permission denied", "registry-login"),
        (401, "You are not authenticated", "registry-login"),
        (500, json.dumps({"error_code": "INTERNAL_ERROR"}), "registry-broken"),
        (502, "Bad Gateway", "registry-broken"),
        (404, "<html>", "registry-not-mlflow"),
        (200, "<html>", "registry-not-mlflow"),
        (200, "[]", "registry-not-mlflow"),
    ],
)
def test_each_answer_of_the_registry_has_its_trouble(status: int, text: str, code: str) -> None:
    found = registry.refusal("http://mlflow:5000", Seen(status, {}, text))

    assert found is not None
    assert found.code == code


def test_a_registry_that_answers_is_not_refused() -> None:
    assert registry.refusal("http://mlflow:5000", Seen(200, {}, '{"registered_models": []}')) is None


@pytest.mark.parametrize(
    ("uri", "env", "expected"),
    [
        ("http://mlflow:5000/", {}, None),
        ("http://me:p%40ss@mlflow:5000", {}, "Basic bWU6cEBzcw=="),
        (
            "http://mlflow:5000",
            {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "p@ss"},
            "Basic bWU6cEBzcw==",
        ),
        ("http://mlflow:5000", {"MLFLOW_TRACKING_TOKEN": "abc"}, "Bearer abc"),
    ],
)  # fmt: skip
def test_the_registry_is_asked_as_mlflows_client_would(uri: str, env: dict[str, str], expected: str | None) -> None:
    base, headers = registry.address(uri, env)

    assert (base, headers.get("authorization")) == ("http://mlflow:5000", expected)


@pytest.mark.parametrize(
    ("skew", "code"),
    [(0.0, ""), (-29, ""), (31, "clock-off"), (-31, "clock-off"), (840, "clock-wrong"), (-9e4, "clock-wrong")],
)
def test_a_clock_is_told_from_its_limits(skew: float, code: str) -> None:
    found = clock.of("S3", skew)

    assert found.code == code
    assert not code or ("ahead of" in found.said) is (skew > 0)


def test_a_date_says_how_far_a_clock_is_off() -> None:
    assert http.skew("Thu, 01 Jan 1970 00:20:00 GMT", 0) == 1200.5
    assert http.skew(None, 0) is None
    assert http.skew("soon", 0) is None


@pytest.mark.parametrize(
    ("found", "workers", "expected"),
    [
        (BIG, 8, []),
        (BIG, 9, ["workers-many"]),
        (replace(BIG, memory=1 << 30), 8, ["memory-short"]),
        (replace(BIG, memory=None), 8, []),
        (replace(BIG, descriptors=1024), 8, ["descriptors-few"]),
        (replace(BIG, descriptors=-1), 8, []),
        (Machine(1, 1 << 20, 256), 2, ["workers-many", "memory-short", "descriptors-few"]),
    ],
)
def test_a_machine_is_told_from_its_size(found: Machine, workers: int, expected: list[str]) -> None:
    assert codes(list(machine.of(found, workers))) == expected


def test_the_memory_of_a_container_is_its_limit_whichever_cgroup_tells_it(tmp_path: Path) -> None:
    limit = tmp_path / "memory.limit_in_bytes"
    limit.write_text("1048576\n")

    assert machine._memory([tmp_path / "memory.max", limit]) == 1 << 20
    assert usage.LIMITS[1].name == limit.name


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(), ["model-unknown"]),
        (View(registered=True), ["model-not-promoted"]),
        (View(True, (SIGNED,)), []),
        (View(True, (SIGNED,), SIGNED), []),
        (View(True, (a_version(2),)), ["model-unsigned"]),
        (View(True, (SIGNED, replace(SIGNED, number=4))), ["model-disagreement"]),
        (View(True, (SIGNED,), replace(SIGNED, number=4)), ["model-disagreement"]),
        (View(True, (SIGNED,), similar_aliases=("Production",)), ["model-disagreement"]),
        (View(True, (SIGNED,), trial_fault="it names no version"), ["model-candidate"]),
    ],
)
def test_what_the_registry_says_is_judged_as_the_syncer_would(view: View, expected: list[str]) -> None:
    assert codes(list(models.of("iris", view, "signed"))) == expected


@pytest.mark.parametrize("code", sorted(s3.CODES))
def test_what_s3_refuses_with_has_a_trouble_of_its_own(code: str) -> None:
    assert s3.refused("s3://jobs", code).code == s3.CODES[code]
    assert s3.CODES[code] in TROUBLES


@pytest.mark.parametrize(
    ("endpoint", "env", "expected"),
    [
        ("", {}, []),
        ("https://s3.eu-central-1.amazonaws.com", {}, []),
        ("http://minio:9000", {}, ["s3-checksums"]),
        ("http://minio:9000", dict.fromkeys(s3.CHECKSUMS, "when_required"), []),
        ("http://minio:9000", {s3.CHECKSUMS[0]: "when_required"}, ["s3-checksums"]),
        ("http://amazonaws.com.evil.example", {}, ["s3-checksums"]),
    ],
)
def test_checksums_are_for_amazon_only(endpoint: str, env: dict[str, str], expected: list[str]) -> None:
    assert codes(list(s3.checksums(endpoint, env))) == expected


def test_a_worker_is_alive_while_it_was_heard_of() -> None:
    assert codes(list(jobs_check.worker(990_000, 1000))) == []
    assert codes(list(jobs_check.worker(900_000, 1000))) == ["jobs-no-workers"]
    assert codes(list(jobs_check.worker(None, 1000))) == ["jobs-no-workers"]


def test_what_a_library_says_loses_its_secrets() -> None:
    env = {
        "AWS_SECRET_ACCESS_KEY": "wonderland",
        "SERVING_JOBS__DATABASE": "postgresql+psycopg://me:pw@db/jobs",
        "PATH": "/bin",
    }
    said = "no wonderland at http://me:pw@host/,\n or postgresql+psycopg://me:pw@db/jobs in /bin"

    shown = finding.without(Finding("s3", "failed", said), finding.secrets_of(env)).said

    assert shown == "no *** at http://***@host/, or postgresql+psycopg://***@db/jobs in /bin"


def test_what_is_no_secret_is_said() -> None:
    """A user's name may be a word of every sentence, and which file holds a key is what its mender needs."""
    env = {"AWS_ACCESS_KEY_ID": "slipway", "SERVING_TLS__KEY": "certs/server.key"}
    said = "s3://slipway-jobs, certs/server.key"

    assert finding.without(Finding("s3", "ok", said), finding.secrets_of(env)).said == said
