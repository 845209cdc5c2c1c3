"""docker-compose.yml and the Dockerfiles, read and not run: pins, start order, ports, secrets, users. Needs no Docker.

That its names are in .env.example is tested in tests/repo, the real thing in tests/e2e/test_compose.py.
"""

import re
import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from infra.compose import jobs_database, tracking
from serving.settings import Limits
from tests.servers import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BAKED = ROOT / "infra" / "docker" / "baked.Dockerfile"
"""Not of the stack: what `make image-baked` lays on top of serving's image; test_baked.py."""
DOCKERFILES = sorted(set((ROOT / "infra" / "docker").glob("*.Dockerfile")) - {BAKED})
OF_PYTHON = [each for each in DOCKERFILES if each.name != "proxy.Dockerfile"]
GATE = "no-placeholders"
BY_HAND = {name for name, service in SERVICES.items() if service.get("profiles") == ["pipelines"]}
MONITORING = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}
EXACT_TAG = re.compile(r"(?P<name>[a-z0-9./-]+):(?P<tag>[\w.-]*\d[\w.-]*)(@sha256:[0-9a-f]{64})?")
OPTIONAL = {"SERVING_WEBHOOK_SECRET", "SERVING_JOBS__CALLBACK_SECRET"}
SECRET = re.compile(r".*(_KEY|_PASSWORD|_SECRET|_TOKEN)")


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """`("RUN", "pip install ...")` and so on; a continued line is one."""
    lines = [line for line in dockerfile.read_text().splitlines() if line.strip() and not line.startswith("#")]
    words = (line.partition(" ") for line in "\n".join(lines).replace("\\\n", " ").splitlines())
    return [(word, rest.strip()) for word, _, rest in words]


def dockerfile_of(service: str) -> Path:
    return ROOT / str(SERVICES[service]["build"]["dockerfile"])


def conditions(service: str) -> dict[str, str]:
    return {name: how["condition"] for name, how in SERVICES[service].get("depends_on", {}).items()}


def jobs() -> set[str]:
    """Whatever something else waits for to end well."""
    return {
        name
        for service in SERVICES
        for name, how in conditions(service).items()
        if how == "service_completed_successfully"
    }


def checked(service: str) -> bool:
    if "healthcheck" in SERVICES[service]:
        return True
    return "build" in SERVICES[service] and any(
        word == "HEALTHCHECK" for word, _ in instructions(dockerfile_of(service))
    )


def variables(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def is_secret(name: str, value: str) -> bool:
    return bool(SECRET.fullmatch(name) and value)


def test_both_docker_composes_can_read_it() -> None:
    """1.29 knows no other top-level names, and no build but one of the legacy builder's."""
    assert {name for name in COMPOSE if not name.startswith("x-")} <= {"services", "volumes", "networks"}
    for dockerfile in DOCKERFILES:
        assert not re.search(r"^\s*RUN --mount|<<-?['\"]?[A-Z]", dockerfile.read_text(), re.MULTILINE), dockerfile


def test_every_image_has_an_exact_tag() -> None:
    pulled = {service["image"] for service in SERVICES.values() if "image" in service}
    built_on = {
        rest.split()[0] for dockerfile in DOCKERFILES for word, rest in instructions(dockerfile) if word == "FROM"
    }

    assert pulled
    assert [image for image in pulled | built_on if not EXACT_TAG.fullmatch(image)] == []


def test_every_service_is_a_job_or_has_a_health_check() -> None:
    assert {name for name in SERVICES if not checked(name)} == jobs() | BY_HAND


def test_nothing_starts_before_what_it_needs_is_ready() -> None:
    for service in SERVICES:
        for name, condition in conditions(service).items():
            assert condition == ("service_completed_successfully" if name in jobs() else "service_healthy")


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {GATE} - BY_HAND))
def test_placeholder_secrets_are_refused_before_anything_starts(service: str) -> None:
    ahead = set(conditions(service))
    while more := {name for each in ahead for name in conditions(each)} - ahead:
        ahead |= more

    assert GATE in ahead


def test_what_is_refused_are_all_the_secrets_there_are() -> None:
    asked = {
        name
        for service in SERVICES.values()
        for value in service.get("environment", {}).values()
        for name in re.findall(r"\$\{(\w+)", str(value))
    }

    assert {name for name in asked if SECRET.fullmatch(name)} == {n for n in variables(GATE) if SECRET.fullmatch(n)}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_secrets_come_from_the_environment_and_have_no_default(service: str) -> None:
    """Nothing is none: what a secret opens is closed then, where that is what `OPTIONAL` says of it."""
    secrets = {name: value for name, value in variables(service).items() if is_secret(name, value)}
    needed = {name: value for name, value in secrets.items() if name not in OPTIONAL}

    assert [name for name, value in needed.items() if not re.fullmatch(r"\$\{\w+:\?[^}]+\}", value)] == []
    assert [name for name, value in secrets.items() if name in OPTIONAL and value != f"${{{name}:-}}"] == []


def test_ports_are_published_on_this_machine_only_and_can_be_changed() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(ports) == {"s3", "mlflow", "proxy", "prometheus", "grafana"}
    for port in chain.from_iterable(ports.values()):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z0-9_]+_PORT:\?[^}]+\}:\d+", port)


@pytest.mark.parametrize(
    "name", ["mlflow", "mlflow:5000", "localhost", "127.0.0.1", "localhost:5050", "127.0.0.1:5050"]
)
def test_mlflow_answers_to_every_name_it_is_called_by(name: str) -> None:
    allowed = variables("mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")

    assert any(fnmatch(name, pattern) for pattern in allowed)
    assert not any(fnmatch("elsewhere.example", pattern) for pattern in allowed)


@pytest.mark.parametrize("service", ["serving", "jobs"])
def test_serving_gets_no_keys_but_those_of_the_place_of_jobs_and_of_its_account(service: str) -> None:
    """A version's files come from MLflow; bodies and results of jobs lie on S3."""
    given = {name: value for name, value in variables(service).items() if is_secret(name, value)}
    names = set(given) - OPTIONAL  # a secret of its own, that opens nothing else

    assert names == {"AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"}


def test_only_the_job_that_makes_the_users_knows_the_root_user_of_s3() -> None:
    who = {name for name in SERVICES if "S3_ROOT_PASSWORD" in str(SERVICES[name].get("environment"))}

    assert who == {GATE, "s3", "buckets"}


def test_mlflow_serving_and_the_host_are_three_users_of_s3() -> None:
    known = {name: variables(name).get("AWS_SECRET_ACCESS_KEY", "")[2:].partition(":")[0] for name in SERVICES}

    assert (known["mlflow"], known["serving"], known["jobs"]) == (
        *("S3_MLFLOW_PASSWORD", "S3_SERVING_PASSWORD", "S3_SERVING_PASSWORD"),
    )
    assert {name for name in known if known[name] == "AWS_SECRET_ACCESS_KEY"} == {GATE, "buckets"}


def test_serving_is_not_mlflows_administrator() -> None:
    assert variables("serving")["MLFLOW_TRACKING_USERNAME"] != variables("mlflow")["MLFLOW_AUTH_ADMIN_USERNAME"]
    assert "basic-auth" in tracking.command()


@pytest.mark.parametrize("service", ["serving", "jobs"])
def test_serving_is_not_postgresqls_superuser(service: str) -> None:
    """What it is there, tests/e2e/test_compose.py sees."""
    told = variables(service)

    assert (told["PGUSER"][2:].partition(":")[0], told["PGPASSWORD"][2:].partition(":")[0]) == (
        *("POSTGRES_SERVING_USER", "POSTGRES_SERVING_PASSWORD"),
    )
    assert told["SERVING_JOBS__DATABASE"].endswith(f"/{jobs_database.DATABASE}")
    assert conditions("serving")["jobs-database"] == "service_completed_successfully"


def test_only_mlflow_and_the_job_that_makes_the_role_know_postgresqls_superuser() -> None:
    who = {name for name in SERVICES if "${POSTGRES_PASSWORD:" in str(SERVICES[name].get("environment"))}

    assert who == {GATE, "postgres", "mlflow", "jobs-database"}


def test_serving_trusts_signed_versions_only_unless_told_otherwise() -> None:
    for service in (GATE, "serving"):
        assert variables(service)["SERVING_TRUST"] == "${SERVING_TRUST:-signed}"
        assert variables(service)["SERVING_TRUST_KEYS"] == "${SERVING_TRUST_KEYS:-}"
    assert dotenv_values(ROOT / ".env.example")["SERVING_TRUST"] == ""


def test_the_private_key_stays_on_the_host() -> None:
    """No name leads to it but in the folder of whoever registers, and no image is built from it."""
    told = [value for name in set(SERVICES) - BY_HAND for pair in variables(name).items() for value in pair]
    mounted = [volume for name in set(SERVICES) - BY_HAND for volume in SERVICES[name].get("volumes", [])]
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    key = Path(str(dotenv_values(ROOT / ".env.example")["SLIPWAY_SIGNING_KEY"]))

    assert [each for each in told if "SIGNING" in each] == []
    folders = {volume.partition(":")[0] for volume in mounted} - set(COMPOSE["volumes"])
    assert all(folder.startswith(("./infra/monitoring/", "./.slipway/access")) for folder in folders)
    assert [each for each in let_in for above in (key, *key.parents) if fnmatch(str(above), each)] == []


def test_what_is_written_is_in_a_named_volume() -> None:
    """Folders of ours are there to be read."""
    mounted = [
        volume.split(":") for name in SERVICES if name not in BY_HAND for volume in SERVICES[name].get("volumes", [])
    ]
    ours = [volume for volume in mounted if volume[0].startswith("./")]

    assert {volume[0] for volume in mounted if volume not in ours} == set(COMPOSE["volumes"])
    assert all(volume[2:] == ["ro"] for volume in ours)
    made = "./.slipway/access"  # by infra/local/api_key.py
    assert [each[0] for each in ours if not each[0].startswith(made) and not (ROOT / each[0]).exists()] == []


def test_who_watches_is_started_only_when_asked_for_and_may_do_nothing() -> None:
    assert {"prometheus", "grafana"} == MONITORING
    for service in (SERVICES[name] for name in MONITORING):
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
    # Or it would lose, at a start, the plugin that its dashboards need: there is no writing over what came with it.
    assert variables("grafana")["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert variables("grafana")["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


def test_every_dockerfile_is_used() -> None:
    assert {dockerfile_of(name) for name, service in SERVICES.items() if "build" in service} == set(DOCKERFILES)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_does_not_run_as_root(dockerfile: Path) -> None:
    """A number, or Kubernetes could not tell that it is not root."""
    users = [rest for word, rest in instructions(dockerfile) if word == "USER"]

    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


@pytest.mark.parametrize("dockerfile", OF_PYTHON, ids=lambda path: path.stem)
def test_an_image_installs_only_what_the_locks_pin(dockerfile: Path) -> None:
    steps = [step.strip() for word, rest in instructions(dockerfile) if word == "RUN" for step in rest.split("&&")]
    installs = [step for step in steps if re.search(r"\bpip3? install\b", step)]
    (uv,) = re.findall(r"uv==[\d.]+", (ROOT / "infra" / "setup.sh").read_text())

    assert [step for step in installs if "uv pip" not in step] == [f"pip install --no-cache-dir {uv}"]
    (ours,) = [step for step in installs if "uv pip" in step]
    assert re.search(r"--(requirements|constraint) \"?/requirements/[\w$-]+\.txt", ours)
    assert "--compile-bytecode" in ours
    assert not [step for step in steps if re.search(r"\b(curl|wget)\b", step)]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_what_an_image_copies_reaches_the_builder(dockerfile: Path) -> None:
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [source for word, rest in instructions(dockerfile) if word == "COPY" for source in rest.split()[:-1]]
    sources = [source for source in copied if not source.startswith(("--", "/"))]

    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch(source, each) or each.startswith(f"{source}/") for each in let_in), source
    assert (ROOT / ".dockerignore").read_text().splitlines().count("*") == 1


def test_the_images_run_the_python_that_the_locks_are_for() -> None:
    (lowest,) = re.findall(
        r">=([\d.]+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )

    for dockerfile in OF_PYTHON:
        assert {rest.split()[0] for word, rest in instructions(dockerfile) if word == "FROM"} == {
            f"python:{lowest}-slim-bookworm"
        }


SECURED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
OURS = {name for name, service in SERVICES.items() if "build" in service}
BEGINS_AS_ROOT = {
    "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
    "s3-volume": {"CHOWN", "DAC_READ_SEARCH"},
}
"""What it takes to give a volume to its user, and to become that."""


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_service_has_a_read_only_file_system_and_hardly_a_capability(service: str) -> None:
    described = SERVICES[service]

    assert (described["read_only"], described["cap_drop"]) == (True, ["ALL"])
    assert set(described.get("cap_add", [])) == BEGINS_AS_ROOT.get(service, set())


@pytest.mark.parametrize("service", sorted(OURS))
def test_our_services_have_a_read_only_file_system_and_no_privilege(service: str) -> None:
    assert {name: SERVICES[service].get(name) for name in SECURED} == SECURED


def test_the_proxy_ends_its_idle_connections_before_serving_does() -> None:
    """docs/lifecycle.md asks it of every proxy: who reuses one that serving ends just then has lost a request."""
    caddyfile = (ROOT / "infra" / "proxy" / "Caddyfile").read_text()
    (seconds,) = re.findall(r"\(keepalive\) \{\s+transport http \{\s+keepalive (\d+)s\s", caddyfile)
    blocks = re.findall(r"reverse_proxy (?:@\w+ )?serving:8000 \{(.*?)\n\t\}", caddyfile, re.DOTALL)

    assert [len(re.findall(r"^\t\timport keepalive$", block, re.MULTILINE)) for block in blocks] == [1, 1]
    assert int(seconds) < Limits().idle_seconds - 10


def test_browsers_are_told_to_come_with_tls_but_not_to_names_that_mlflow_has_too() -> None:
    """The header counts for all ports of a name, and MLflow's is plain."""
    caddyfile = (ROOT / "infra" / "proxy" / "Caddyfile").read_text()
    (matcher,) = re.findall(r"header (@\w+) Strict-Transport-Security max-age=31536000\n", caddyfile)
    (names,) = re.findall(rf"{matcher} not host (.*)\n", caddyfile)

    assert names.split() == ["localhost", "127.0.0.1"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_service_gains_privileges_or_is_given_any(service: str) -> None:
    described = SERVICES[service]

    assert "no-new-privileges:true" in described["security_opt"]
    assert not {"privileged", "devices", "pid", "ipc", "userns_mode"} & set(described)
    assert service == "s3-volume" or not str(described.get("user")).startswith("0")


def test_minio_whose_image_would_run_as_root_does_not() -> None:
    assert (SERVICES["s3"]["user"], conditions("s3")["s3-volume"]) == ("10001:10001", "service_completed_successfully")


@pytest.mark.parametrize("dockerfile", [*DOCKERFILES, BAKED], ids=lambda path: path.name)
def test_our_images_run_as_nobody_special(dockerfile: Path) -> None:
    users = [rest for word, rest in instructions(dockerfile) if word == "USER"]

    assert users[-1] == "10001:10001"
