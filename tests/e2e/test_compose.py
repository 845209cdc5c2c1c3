"""docker-compose.yml for real: built, started, trained into from the host, promoted, asked, restarted, taken down, up.

Needs a Docker engine and docker-compose. Where no image can be pulled, tag stand-ins as docker-compose.yml and the
Dockerfiles name their images first; `tests/e2e/standins/build.sh` makes those of MinIO and Caddy on a Debian.
"""

import io
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pandas as pd
import pytest
from dotenv import dotenv_values
from pyarrow import parquet as pq

from serving.client import Client
from tests import workspace
from tests.servers import ROOT, Stack, eventually, free_port
from tests.serving.conftest import Registrar, slope
from tests.workspace import SMALL, Workspace

pytestmark = pytest.mark.slow

# No PyTorch candidate: the serving image could not load it, and here it must not be the best one.
PARAMS = {**{name: value for name, value in SMALL.items() if ".network." not in name}, "train.network": None}
OURS = ("mlflow", "serving", "jobs")
SECRETS = (
    *("AWS_SECRET_ACCESS_KEY", "S3_ROOT_PASSWORD", "S3_MLFLOW_PASSWORD", "S3_SERVING_PASSWORD"),
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_SERVING_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
)
OF_POSTGRESQL = ("POSTGRES_PASSWORD", "POSTGRES_SERVING_PASSWORD")
OF_A_STANDIN = """
services:
  s3:
    environment: # MinIO has its users from `buckets` and does not read this; tests/e2e/standins/s3 does
      STANDIN_PAIRS: >-
        ${AWS_ACCESS_KEY_ID},${AWS_SECRET_ACCESS_KEY} ${S3_MLFLOW_USER},${S3_MLFLOW_PASSWORD}
        ${S3_SERVING_USER},${S3_SERVING_PASSWORD}
"""
PORTS = ("S3_PORT", "MLFLOW_PORT", "SERVING_PORT", "SERVING_GRPC_PORT")
MORE_PORTS = ("PROMETHEUS_PORT", "GRAFANA_PORT")
"""Of those who are only there when they are asked for."""


def docker_compose() -> list[str]:
    """The command of whichever docker-compose is here; the test fails, with the remedy, when it cannot work."""
    for command in (["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]) and succeeds(*command, "version"):
            if succeeds("docker", "info"):
                return command
            pytest.fail("no Docker engine answers `docker info`: start one (on Debian: apt-get install docker.io)")
    pytest.fail("no docker-compose here: install it (on Debian: apt-get install docker.io docker-compose)")


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Compose:
    """The stack of the project in `folder`, as its `.env` says."""

    command: list[str]
    folder: Path
    env: Mapping[str, str]

    def run(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            [*self.command, *words], cwd=self.folder, env=dict(self.env), capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert bool(done.returncode) is fails, f"{words} ended with {done.returncode}:\n{said[-8000:]}"
        return said

    def inside(self, service: str, code: str) -> str:
        """What Python code prints in a running container."""
        return self.run("exec", "-T", service, "python", "-c", code).strip()

    def containers(self) -> list[str]:
        """Those that run."""
        return self.run("ps", "--quiet").split()

    def published(self, container: str) -> list[str]:
        format_ = "{{range $port, $at := .NetworkSettings.Ports}}{{range $at}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}"
        done = subprocess.run(
            ["docker", "inspect", "--format", format_, container], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    @property
    def written(self) -> dict[str, str | None]:
        return dotenv_values(self.folder / ".env")

    def url(self, port: str) -> str:
        """Serving is behind the proxy, with TLS."""
        scheme = "https" if port.startswith("SERVING") else "http"
        return f"{scheme}://127.0.0.1:{self.written[port]}"

    @property
    def ca(self) -> Path:
        """Of the proxy, as `make compose-up` leaves it on the host."""
        file = self.folder / ".slipway" / "proxy-ca.pem"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_text(self.run("exec", "-T", "proxy", "cat", "/data/caddy/pki/authorities/local/root.crt"))
        return file

    def serving(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self.ca)
        known = {"authorization": f"Bearer {self.written['SLIPWAY_API_KEY']}"}
        url = self.url("SERVING_PORT")
        return httpx.Client(base_url=url, headers=known, verify=trusted, timeout=60, follow_redirects=True)

    def who(self, of: str = "TRACKING") -> tuple[str, str]:
        """To MLflow: oneself, or serving."""
        return str(self.written[f"MLFLOW_{of}_USERNAME"]), str(self.written[f"MLFLOW_{of}_PASSWORD"])

    def mlflow(self, of: str = "TRACKING") -> httpx.Client:
        return httpx.Client(base_url=f"{self.url('MLFLOW_PORT')}/api/2.0/mlflow/", auth=self.who(of), timeout=30)


@contextmanager
def stack_of(folder: Path, project: str, changes: Mapping[str, str]) -> Iterator[Compose]:
    """Nothing is started yet; in the end nothing is left but images, which the next run is glad of."""
    dotenv = (ROOT / ".env.example").read_text().splitlines()
    kept = [line for line in dotenv if line.partition("=")[0] not in changes]
    (folder / ".env").write_text("\n".join([*(f"{name}={value}" for name, value in changes.items()), *kept]) + "\n")
    (folder / "docker-compose.override.yml").write_text(OF_A_STANDIN)
    names = dotenv_values(ROOT / ".env.example")
    env = {name: value for name, value in os.environ.items() if name not in names}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    compose = Compose([*docker_compose(), "--project-name", project], folder, env)
    compose.run("down", "--volumes", "--remove-orphans")  # of a run that was killed
    try:
        yield compose
    finally:
        compose.run("down", "--volumes", "--remove-orphans")


def free_ports() -> dict[str, str]:
    return {name: str(free_port()) for name in (*PORTS, *MORE_PORTS)}


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The whole stack, up, in a folder that is a copy of the project; its secrets are nobody's placeholders."""
    folder = tmp_path_factory.mktemp("compose")
    names = (*SECRETS, "GRAFANA_ADMIN_PASSWORD")
    odd = {name: f"@:/#%{token_urlsafe()}" for name in OF_POSTGRESQL}
    secrets = {name: token_urlsafe() for name in names} | odd
    workspace.make(folder, os.environ, model="slipway", params=PARAMS)
    with stack_of(folder, "slipway-test", {**free_ports(), **secrets, "SLIPWAY_ENV": "production"}) as stack:
        on_the_host(stack).run("infra.local.trust_keys")  # as `make compose-up` does
        on_the_host(stack).run("infra.local.api_key")
        stack.run("build")
        stack.run("up", "--detach")
        eventually(lambda: answers(stack), seconds=60)
        yield stack


@pytest.fixture(scope="module")
def trained(compose: Compose) -> Workspace:
    """The pipeline has run on the host, on nothing but the names in `.env`, and its best version is Production."""
    work = on_the_host(compose)
    work.run("infra.local.dvc_remote")
    work.run("pipelines")
    work.run("pipelines.promote", "best", "--reason", "tests")
    return work


def on_the_host(compose: Compose) -> Workspace:
    return Workspace(compose.folder, {**compose.env, "PYTHONPATH": str(compose.folder), "DVC_NO_ANALYTICS": "1"})


def answers(compose: Compose) -> bool:
    try:
        with compose.serving() as http:
            return http.get("/health").is_success
    except httpx.TransportError:
        return False


def predict(compose: Compose) -> httpx.Response:
    rows = some_rows(compose)
    body = {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}}
    with compose.serving() as http:
        return http.post("/invocations", json=body)


def some_rows(compose: Compose) -> pd.DataFrame:
    return pd.read_parquet(compose.folder / "data/processed/test.parquet").drop(columns="target").head(3)


def predicts(compose: Compose) -> bool:
    try:
        return predict(compose).status_code == 200
    except httpx.TransportError:
        return False


def same(one: httpx.Response, other: httpx.Response) -> bool:
    numbers = [answer.headers["x-model-version"] for answer in (one, other)]
    return numbers[0] == numbers[1] and one.json() == other.json()


def ask_mlflow(compose: Compose, path: str, body: Mapping[str, object]) -> dict[str, Any]:
    with compose.mlflow() as http:
        answer = http.post(path, json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def registered(compose: Compose) -> list[dict[str, Any]]:
    """Every version in the registry, oldest first."""
    with compose.mlflow() as http:
        answer = http.get("model-versions/search", params={"filter": "name='slipway'"}).json()
    found: list[dict[str, Any]] = answer["model_versions"]
    return sorted(found, key=lambda version: int(version["version"]))


def test_a_promoted_version_answers_real_rows(compose: Compose, trained: Workspace) -> None:
    eventually(lambda: predicts(compose))

    answer = predict(compose)

    assert answer.headers["x-model-version"] == "1"
    assert len(answer.json()["predictions"]) == 3


def test_a_job_is_answered_by_a_worker_in_another_container(compose: Compose, trained: Workspace) -> None:
    """A small answer out of PostgreSQL, a large one from S3 by an address that this machine can reach."""
    eventually(lambda: predicts(compose))
    rows = some_rows(compose)
    with compose.serving() as http:
        for times in (1, 50_000):
            body = {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist() * times}}
            accepted = http.post("/v1/models/slipway/jobs", json=body)
            assert accepted.status_code == 202, accepted.text
            job = accepted.json()["href"]
            eventually(lambda: http.get(job).json()["state"] == "succeeded", seconds=60)  # noqa: B023 - in this turn
            answer = http.get(f"{job}/result")
            assert answer.status_code == 200, answer.text
            if times == 1:
                assert answer.json() == predict(compose).json()
            else:
                assert pq.read_table(io.BytesIO(answer.content)).num_rows == 3 * times


def test_another_version_promoted_over_rest_is_served_within_three_seconds(
    compose: Compose, trained: Workspace
) -> None:
    eventually(lambda: predicts(compose))
    (former,) = registered(compose)
    source = {"source": former["source"], "model_id": former["source"].removeprefix("models:/")}
    again = ask_mlflow(compose, "model-versions/create", {"name": "slipway", **source})
    number = again["model_version"]["version"]

    promotion = {"name": "slipway", "version": number, "stage": "Production", "archive_existing_versions": True}
    ask_mlflow(compose, "model-versions/transition-stage", promotion)

    eventually(lambda: predict(compose).headers["x-model-version"] == number, seconds=3)
    stages = {version["version"]: version["current_stage"] for version in registered(compose)}
    assert stages == {former["version"]: "Archived", number: "Production"}


def test_an_unsigned_version_is_refused_with_its_reason_and_the_old_one_keeps_answering(
    compose: Compose, trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventually(lambda: predicts(compose))
    before, metadata = predict(compose), "/v2/models/slipway"
    for name, value in zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), compose.who(), strict=True):
        monkeypatch.setenv(name, value)
    person = Registrar(Stack(compose.folder, {"MLFLOW_TRACKING_URI": compose.url("MLFLOW_PORT")}), "slipway")
    unsigned = person.register(slope(3))

    with compose.serving() as http:
        person.stage(unsigned)
        try:
            refusal = eventually(lambda: http.get(metadata).json()["last_refusal"])
            assert same(predict(compose), before)
            assert http.get(metadata).json()["trust"] == "signed"
        finally:
            person.stage(int(before.headers["x-model-version"]))

    assert refusal["version"] == unsigned
    assert refusal["reason"].startswith("it has no manifest, and SERVING_TRUST=signed asks for one")


def test_the_private_key_is_in_no_container(compose: Compose, trained: Workspace) -> None:
    (secret,) = (compose.folder / ".slipway/keys/signing.pem").read_text().splitlines()[1:-1]
    searched = f"""
import os
found = []
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = set(folders) - {{"proc", "sys", "dev", "usr"}}
    for path in (os.path.join(folder, name) for name in files):
        try:
            if os.path.isfile(path) and {secret[:40]!r}.encode() in open(path, "rb").read(1 << 20):
                found.append(path)
        except OSError:
            pass
print(found, [name for name in os.environ if "SIGNING" in name])
"""
    for service in OURS:
        assert compose.inside(service, searched) == "[] []"


def test_a_restart_and_a_new_start_keep_everything(compose: Compose, trained: Workspace) -> None:
    eventually(lambda: predicts(compose))
    answer, versions = predict(compose), registered(compose)

    compose.run("restart")
    eventually(lambda: predicts(compose), seconds=90)
    assert same(predict(compose), answer)

    compose.run("down")
    compose.run("up", "--detach")
    eventually(lambda: predicts(compose), seconds=60)
    assert same(predict(compose), answer)
    assert registered(compose) == versions
    shutil.rmtree(compose.folder / ".dvc/cache")
    shutil.rmtree(compose.folder / "models")
    trained.run("dvc", "pull", "models")
    assert list((compose.folder / "models").iterdir())


@pytest.mark.parametrize("service", OURS)
def test_our_containers_are_nobody_special(compose: Compose, service: str) -> None:
    assert compose.inside(service, "import os; print(os.getuid(), os.getgid())") == "10001 10001"
    assert "Read-only file system" in compose.inside(
        service, "try: open('/slipway/new', 'w')\nexcept OSError as refused: print(refused)"
    )


def test_s3_is_nobody_special_and_is_given_what_an_earlier_release_wrote_as_root(compose: Compose) -> None:
    assert re.findall(r"(?m)^[UG]id:\t(\d+)", compose.run("exec", "-T", "s3", "cat", "/proc/1/status")) == ["10001"] * 2
    owners = "find /data -printf '%u:%g\\n' | sort --unique"
    compose.run("run", "--rm", "-T", "s3-volume", "chown", "--recursive", "0:0", "/data")

    compose.run("run", "--rm", "-T", "s3-volume")

    said = compose.run("run", "--rm", "-T", "s3-volume", "sh", "-c", owners)
    assert [line for line in said.splitlines() if re.fullmatch(r"\w+:\w+", line)] == ["slipway:slipway"]


def test_the_serving_image_has_what_it_needs_and_no_more(compose: Compose) -> None:
    found = "import importlib.util; print([n for n in {} if importlib.util.find_spec(n)])"

    assert compose.inside("serving", found.format(("dvc", "torch", "minio", "pip", "uv", "pipelines", "infra"))) == "[]"
    assert compose.inside("serving", found.format(("fastapi", "sklearn", "skops"))) == "['fastapi', 'sklearn', 'skops']"
    names = "sorted(n for n, value in os.environ.items() if value and ('SECRET' in n or 'PASSW' in n))"
    # Who it is to PostgreSQL and S3, where jobs are kept.
    assert compose.inside("serving", f"import os; print({names})") == (
        "['AWS_SECRET_ACCESS_KEY', 'MLFLOW_TRACKING_PASSWORD', 'PGPASSWORD']"
    )


def test_only_this_machine_is_let_in(compose: Compose) -> None:
    published = [at for container in compose.containers() for at in compose.published(container)]

    assert {at.rpartition(":")[0] for at in published} == {"127.0.0.1"}
    assert set(published) == {compose.url(n).partition("//")[2] for n in PORTS}


@pytest.fixture
def prometheus(compose: Compose) -> Iterator[str]:
    """Its container; Grafana, which no stand-in is there for, stays away."""
    watching = ("--profile", "monitoring")
    compose.run(*watching, "up", "--detach", "prometheus")
    yield compose.run(*watching, "ps", "--quiet", "prometheus").strip()
    compose.run(*watching, "rm", "--stop", "--force", "prometheus")


def test_prometheus_watches_serving_by_the_rules_of_this_folder(compose: Compose, prometheus: str) -> None:
    health = ["docker", "inspect", "--format", "{{.State.Health.Status}}", prometheus]
    eventually(
        lambda: subprocess.run(health, capture_output=True, text=True, check=True).stdout == "healthy\n", seconds=90
    )
    api = compose.url("PROMETHEUS_PORT") + "/api/v1"

    def answer(expr: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{api}/query", params={"query": expr}).json()["data"]["result"]
        return found

    eventually(lambda: answer("slipway_build_info"), seconds=60)
    assert [(each["metric"]["instance"], each["value"][1]) for each in answer('up{job="slipway"}')] == [
        ("serving:8000", "1")
    ]
    groups = httpx.get(f"{api}/rules").json()["data"]["groups"]
    assert {group["name"].removeprefix("slipway-") for group in groups} == {
        *("recording", "serving", "following", "processes", "jobs")
    }
    assert {at.rpartition(":")[0] for at in compose.published(prometheus)} == {"127.0.0.1"}
    said = compose.run("exec", "-T", "prometheus", "touch", "/etc/prometheus/rules/more.yml", "/new", fails=True)
    assert said.count("Read-only file system") == 2


def test_mlflow_sends_nobody_to_an_s3_address_that_only_containers_know(compose: Compose) -> None:
    offers = httpx.get(compose.url("MLFLOW_PORT") + "/api/3.0/mlflow/server-info", auth=compose.who()).json()

    assert (offers["multipart_downloads_enabled"], offers["multipart_uploads_enabled"]) == (False, False)


def test_mlflow_answers_browsers_here_and_strangers_not(compose: Compose) -> None:
    url = compose.url("MLFLOW_PORT")
    search = f"{url}/api/2.0/mlflow/experiments/search"

    with httpx.Client(auth=compose.who(), timeout=30) as http:
        assert "<title>MLflow</title>" in http.get(url).text
        assert http.post(search, json={"max_results": 1}, headers={"Origin": url}).status_code == 200
        assert http.get(search, params={"max_results": 1}, headers={"Host": "elsewhere.example"}).status_code == 403


def test_mlflow_asks_who_it_is_and_serving_may_read_and_change_nothing(compose: Compose, trained: Workspace) -> None:
    assert httpx.get(f"{compose.url('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search").status_code == 401
    with compose.mlflow("SERVING") as http:
        version = http.get("model-versions/get", params={"name": "slipway", "version": "1"})
        assert version.json()["model_version"]["version"] == "1"
        moved = {"name": "slipway", "alias": "production", "version": "1"}
        assert http.post("registered-models/alias", json=moved).status_code == 403
        assert http.post("users/create", json={"username": "x", "password": token_urlsafe()}).status_code == 403


TRIES = """
import psycopg
for name, statement in {tries!r}:
    try:
        with psycopg.connect(dbname=name, autocommit=True) as connection:
            print(connection.execute(statement).fetchall())
    except psycopg.Error as refused:
        print(refused.sqlstate or str(refused).partition("FATAL:")[2].split(chr(10))[0].strip())
"""


def as_serving(compose: Compose, *tries: tuple[str, str]) -> list[str]:
    """What PostgreSQL answers serving's container: rows, or why not, for each database and statement."""
    return compose.inside("serving", TRIES.format(tries=tries)).splitlines()


def test_serving_owns_the_database_of_jobs_and_may_do_nothing_else_at_postgresql(compose: Compose) -> None:
    assert as_serving(
        compose,
        ("slipway_jobs", "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"),
        ("slipway_jobs", "SELECT count(*) >= 0 FROM slipway_jobs"),
        ("slipway_jobs", "COPY (SELECT 1) TO PROGRAM 'true'"),
        ("mlflow", "SELECT 1"),
        ("mlflow_auth", "SELECT 1"),
    ) == [
        *("[(False, False, False)]", "[(True,)]", "42501"),  # insufficient privilege
        *(f'permission denied for database "{name}"' for name in ("mlflow", "mlflow_auth")),
    ]


def test_what_an_earlier_release_made_as_superuser_becomes_servings(compose: Compose) -> None:
    before = f"""
import os, psycopg
from psycopg import sql
owner = sql.Identifier(os.environ["POSTGRES_USER"])
env = {{name: os.environ["POSTGRES_" + name.upper()] for name in ("host", "user", "password")}}
with psycopg.connect(dbname="slipway_jobs", autocommit=True, **env) as connection:
    for what in {("DATABASE slipway_jobs", "SCHEMA dbos", "TABLE slipway_jobs", "TABLE dbos.workflow_status")}:
        connection.execute(sql.SQL("ALTER " + what + " OWNER TO {{}}").format(owner))
"""
    denied = "slipway_jobs", "SELECT count(*) >= 0 FROM slipway_jobs"
    compose.run("run", "--rm", "-T", "jobs-database", "python", "-c", before)
    assert as_serving(compose, denied) == ["42501"]

    compose.run("run", "--rm", "-T", "jobs-database")

    assert as_serving(
        compose, denied, ("slipway_jobs", "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname !~ '^(pg|info)'")
    ) == ["[(True,)]", f"[({compose.written['POSTGRES_SERVING_USER']!r},)]"]


def test_grpc_is_spoken_with_tls_too(compose: Compose, trained: Workspace) -> None:
    eventually(lambda: predicts(compose))
    address = f"grpcs://localhost:{compose.written['SERVING_GRPC_PORT']}"

    with Client(address, model="slipway", ca=compose.ca, key=compose.written["SLIPWAY_API_KEY"]) as client:
        assert list(client.predict(some_rows(compose))) == predict(compose).json()["predictions"]


def test_without_a_key_nobody_is_answered_and_prometheus_may_read_metrics_alone(compose: Compose) -> None:
    token = (compose.folder / ".slipway/access/scrape-token").read_text().strip()

    with compose.serving() as http:
        del http.headers["authorization"]
        assert [http.get(path).status_code for path in ("/health", "/v2", "/metrics")] == [200, 401, 401]
        http.headers["authorization"] = f"Bearer {token}"
        assert [http.get(path).status_code for path in ("/metrics", "/v2/models/slipway")] == [200, 403]


def test_the_proxys_log_has_nothing_of_a_request_that_nobody_answered(compose: Compose) -> None:
    compose.run("stop", "serving")
    try:
        with compose.serving() as http:
            headers = {"x-api-key": str(compose.written["SLIPWAY_API_KEY"])}
            answer = http.post("/invocations", params={"token": "in-the-query"}, headers=headers, content="in-the-body")
    finally:
        compose.run("start", "serving")
    with compose.serving() as http:
        eventually(lambda: http.get("/health").status_code == 200, seconds=90)
    said = compose.run("logs", "proxy")

    assert answer.status_code == 502
    assert '"status":502' in said
    assert [each for each in (*headers.values(), "in-the-query", "in-the-body") if each in said] == []


def test_without_tls_nobody_is_answered(compose: Compose) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(compose.url("SERVING_PORT") + "/health")
    assert httpx.get(compose.url("SERVING_PORT").replace("https", "http") + "/health").status_code == 400


def test_a_placeholder_secret_starts_nothing_outside_local(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    workspace.make(folder, os.environ, model="slipway")
    with stack_of(folder, "slipway-test-refusal", {**free_ports(), "SLIPWAY_ENV": "production"}) as compose:
        compose.run("build", "no-placeholders")  # not as an earlier run has left it
        compose.run("up", "--detach", fails=True)

        said = compose.run("logs", "--no-color", "no-placeholders")
        for name in (*SECRETS, *OF_POSTGRESQL, "GRAFANA_ADMIN_PASSWORD"):
            assert name in said
        assert compose.run("ps", "--quiet", "s3", "postgres", "mlflow", "serving").split() == []


def test_trust_without_keys_starts_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    workspace.make(folder, os.environ, model="slipway")
    with stack_of(folder, "slipway-test-refusal", free_ports()) as compose:
        compose.run("build", "no-placeholders")  # not as an earlier run has left it
        compose.run("up", "--detach", fails=True)

        said = compose.run("logs", "--no-color", "no-placeholders")
        assert "SERVING_TRUST_KEYS is empty, so no version could be served: `make compose-up` makes a key" in said
        assert compose.run("ps", "--quiet", "s3", "postgres", "mlflow", "serving").split() == []
