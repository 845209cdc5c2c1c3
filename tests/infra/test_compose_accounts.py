"""Who may do what in the compose stack: serving's account at a real MLflow, S3's users as MinIO is told of them."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from minio.crypto import decrypt
from urllib3 import HTTPResponse

from infra.compose import accounts
from infra.compose.policies import AREAS, policy
from tests.infra.test_compose_jobs import run
from tests.servers import ROOT, server, stack_environment

ADMIN = ("someone", "a-long-password-of-one")
SERVING = ("serving", "a-long-password-of-serving")
S3 = {
    "AWS_ACCESS_KEY_ID": "host",
    "AWS_SECRET_ACCESS_KEY": "host-password",
    "AWS_DEFAULT_REGION": "us-east-1",
    **{f"S3_{name}_USER": name.lower() for name in ("ROOT", "MLFLOW", "SERVING")},
    **{f"S3_{name}_PASSWORD": f"{name.lower()}-password" for name in ("ROOT", "MLFLOW", "SERVING")},
}


@contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """With its basic-auth app, by our settings but for the database."""
    pytest.importorskip("flask_wtf", reason="MLFLOW'S ACCOUNTS ARE NOT TESTED HERE: install Flask-WTF (mlflow[auth])")
    env = stack_environment(folder)
    ini = (ROOT / "infra/compose/basic_auth.ini").read_text()
    (folder / "auth.ini").write_text(ini.replace("postgresql+psycopg:///mlflow_auth", f"sqlite:///{folder}/auth.db"))
    names = {
        **env,
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-secret",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--port", env["MLFLOW_PORT"], "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    with server("mlflow", command, port=int(env["MLFLOW_PORT"]), env=names, folder=folder, ready="/health") as running:
        yield running.url


@pytest.mark.slow  # MLflow makes two databases
def test_serving_gets_an_account_that_reads_and_changes_nothing(tmp_path: Path) -> None:
    with mlflow(tmp_path) as url, httpx.Client(base_url=f"{url}/api/2.0/mlflow/", timeout=30) as ask:
        names = {
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_USERNAME": ADMIN[0],
            "MLFLOW_TRACKING_PASSWORD": ADMIN[1],
            "MLFLOW_SERVING_USERNAME": SERVING[0],
            "MLFLOW_SERVING_PASSWORD": SERVING[1],
        }
        accounts.ensure(names)
        accounts.ensure(names)

        assert ask.get("registered-models/get", params={"name": "iris"}).status_code == 401
        assert ask.post("registered-models/create", json={"name": "iris"}, auth=ADMIN).status_code == 200
        assert ask.get("registered-models/get", params={"name": "iris"}, auth=SERVING).status_code == 200
        assert ask.request("DELETE", "registered-models/delete", json={"name": "iris"}, auth=SERVING).status_code == 403
        tag = {"name": "iris", "key": "mine", "value": "1"}
        assert ask.post("registered-models/set-tag", json=tag, auth=SERVING).status_code == 403

        accounts.ensure({**names, "MLFLOW_SERVING_PASSWORD": "another-long-password"})
        changed = SERVING[0], "another-long-password"
        assert ask.get("registered-models/get", params={"name": "iris"}, auth=changed).status_code == 200

        wrong = {**names, "MLFLOW_TRACKING_PASSWORD": "not-the-password", "MLFLOW_SERVING_PASSWORD": "yet-another-one"}
        refused = run("accounts", wrong)
        assert refused.returncode == 1
        assert refused.stderr.startswith("slipway: MLflow makes no account for serving: 401")


class Minio:
    """Hears what an administrator tells MinIO, as MinIO does: the bodies of users are encrypted with his password."""

    def __init__(self) -> None:
        self.policies: dict[str, Any] = {}
        self.passwords: dict[str, str] = {}
        self.attached: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator["Minio"]:
        thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def told(self, verb: str, asked: Mapping[str, str], body: HTTPResponse) -> None:
        if verb == "add-canned-policy":
            self.policies[asked["name"]] = json.loads(body.data)
        elif verb == "add-user":
            self.passwords[asked["accessKey"]] = json.loads(decrypt(body, S3["S3_ROOT_PASSWORD"]))["secretKey"]
        elif verb == "set-user-or-group-policy":
            self.attached[asked["userOrGroup"]] = asked["policyName"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._end()

            def do_PUT(self) -> None:
                asked = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                body = BytesIO(self.rfile.read(int(self.headers["content-length"] or 0)))
                mine.told(asked.path.rpartition("/")[2], query, HTTPResponse(body, preload_content=False))
                self._end()

            def _end(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Nobody reads it."""

        return Handler


def test_minio_is_told_of_three_users_each_with_a_policy_of_its_own() -> None:
    with Minio().serving() as minio:
        done = run("buckets", {**S3, "AWS_ENDPOINT_URL": minio.url})

    assert (done.returncode, done.stderr) == (0, "")
    assert minio.passwords == {"host": "host-password", "mlflow": "mlflow-password", "serving": "serving-password"}
    assert minio.attached == {name: f"slipway-{name}" for name in ("host", "mlflow", "serving")}
    assert minio.policies == {f"slipway-{name}": policy(areas) for name, areas in AREAS.items()}


@pytest.mark.parametrize(
    ("user", "action", "resource", "may"),
    [
        ("mlflow", "s3:PutObject", "mlflow/1/model.onnx", True),
        ("mlflow", "s3:GetObject", "dvc/files/md5/00", False),
        ("mlflow", "s3:ListBucket", "slipway-jobs", False),
        ("host", "s3:DeleteObject", "dvc/files/md5/00", True),
        ("host", "s3:PutObject", "slipway-jobs/files/rows.parquet", True),
        ("host", "s3:GetObject", "slipway-jobs/jobs/1/body", False),
        ("host", "s3:GetObject", "mlflow/1/model.onnx", False),
        ("serving", "s3:PutObject", "slipway-jobs/jobs/1/body", True),
        ("serving", "s3:GetObject", "mlflow/1/model.onnx", False),
        ("serving", "s3:DeleteBucket", "slipway-jobs", False),
    ],
)
def test_each_user_may_use_its_own_part_and_no_other(user: str, action: str, resource: str, may: bool) -> None:
    """By the statements as AWS describes them; a condition only narrows what they allow."""
    allowed = [
        each
        for each in policy(AREAS[user])["Statement"]
        if each["Effect"] == "Allow"
        and action in each["Action"]
        and any(fnmatchcase(f"arn:aws:s3:::{resource}", pattern) for pattern in each["Resource"])
    ]

    assert bool(allowed) is may


def test_who_has_a_part_of_a_bucket_lists_that_part_only() -> None:
    (listing,) = [
        each for each in policy(AREAS["host"])["Statement"] if each["Resource"] == ["arn:aws:s3:::slipway-jobs"]
    ]

    assert listing["Action"] == ["s3:ListBucket"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["files/*"]}}
