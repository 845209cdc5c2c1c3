"""baked.Dockerfile and `python -m infra.baked`, without Docker; the image itself is tested in tests/e2e."""

import os
import re
import subprocess
import sys
from pathlib import Path

from infra.baked import DECIDE
from tests.infra.house import House
from tests.infra.test_compose import BAKED, SERVICES, instructions, variables
from tests.servers import ROOT

OF_THE_PLACE = {
    *("SERVING_HOST", "SERVING_PORT", "SERVING_GRPC_PORT", "SERVING_STORE", "SERVING_WORKERS", "SERVING_LOG_LEVEL"),
    *("SERVING_BATCHING__MAX_ROWS", "SERVING_BATCHING__MAX_BYTES", "SERVING_BATCHING__MAX_WAITING_ROWS"),
    *("SERVING_LARGEST_BODY", "SERVING_POLL_SECONDS", "SERVING_LOAD_SECONDS", "SERVING_DRAIN_SECONDS"),
    *("SERVING_KEEP_VERSIONS", "SERVING_LARGEST_VERSION", "SERVING_WEBHOOK_SECRET"),
    *("SERVING_CANDIDATE__KEY_HEADER", "SERVING_CANDIDATE__MAX_ERROR_RATE"),
    *("SERVING_LINGER_SECONDS", "SERVING_FINISH_SECONDS", "SERVING_LOG_FORMAT", "SERVING_LOG_REQUESTS"),
    *("SERVING_BATCHING__MAX_WAITING_BYTES", "SERVING_BATCHING__MAX_WAITING_SECONDS"),
    *("SERVING_CANDIDATE__MAX_P99_RATIO", "SERVING_CANDIDATE__MIN_REQUESTS"),
}
"""What the host of a container decides, or nobody where there is no registry."""
GROUPS_OF_THE_PLACE = ("SERVING_JOBS__", "SERVING_AUTH__", "SERVING_LIMITS__", "SERVING_TLS__", "SERVING_TRACING__")


def arguments() -> set[str]:
    """What the image is built with and goes on to run with."""
    return {rest for word, rest in instructions(BAKED) if word == "ARG"} - {"SERVING_IMAGE=slipway-serving:latest"}


def test_the_image_serves_by_the_settings_that_its_versions_were_tried_with() -> None:
    """A new setting of serving is either of the place, or the image has to carry it."""
    names = {name for name in variables("serving") if name.startswith("SERVING_")}
    (env,) = [rest for word, rest in instructions(BAKED) if word == "ENV"]

    groups = {name for name in names if name.startswith(GROUPS_OF_THE_PLACE)}
    assert names - OF_THE_PLACE - groups - {"SERVING_OFFLINE"} == {"SERVING_MODELS", *DECIDE}
    assert arguments() == {"SERVING_MODELS", *DECIDE}
    assert all(f"{name}=${{{name}}}" in env.split() for name in arguments())
    assert "SERVING_OFFLINE=true" in env.split()


def test_the_image_does_not_run_as_root_and_has_its_store_read_only() -> None:
    users = [rest for word, rest in instructions(BAKED) if word == "USER"]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert "chown" not in " ".join(rest for _, rest in instructions(BAKED))


def test_make_sees_to_keys_first() -> None:
    recipe = re.search(r"(?m)^image-baked:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())

    assert recipe is not None
    assert re.findall(r"\$\(run\) (\S+)", recipe.group(1)) == ["infra.local.trust_keys", "infra.baked"]


def test_no_secret_is_an_argument_of_the_build() -> None:
    assert not [name for name in arguments() if re.search(r"_(KEY|PASSWORD|SECRET|TOKEN)$|MLFLOW|AWS", name)]


def test_serving_itself_is_the_image_that_compose_runs() -> None:
    build = SERVICES["serving"]["build"]

    assert (ROOT / "infra/baked.py").read_text().count(build["dockerfile"]) == 1
    assert set(build["args"]) == {"REQUIREMENTS"}


def docker(house: House, *, fails_at: str = "") -> Path:
    """Stands in for Docker: notes its words and what it was told of trust, a call a line."""
    program = house.root / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$SERVING_MODELS $SERVING_TRUST | $*" >> "{house.root}/calls"\n'
        f'if [ "$1" = "{fails_at}" ]; then echo "no can do" >&2; exit 1; fi\n'
    )
    program.chmod(0o755)
    return program.parent


def make(house: House, folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = house.environment()
    return subprocess.run(
        [sys.executable, "-m", "infra.baked", *words],
        cwd=house.root,
        env={**inherited, "PATH": f"{folder}{os.pathsep}{inherited['PATH']}", **env},
        capture_output=True,
        text=True,
        check=False,
    )


PASSWORD = {"MLFLOW_TRACKING_PASSWORD": "hidden"}


def test_the_store_is_baked_in_the_image_that_will_serve_it_before_that_is_built_upon(house: House) -> None:
    done = make(house, docker(house), "--models", "iris,wine", "--tag", "2", **PASSWORD)

    assert done.returncode == 0, done.stderr
    build, run, bake = (house.root / "calls").read_text().splitlines()
    assert {line.partition(" |")[0] for line in (build, run, bake)} == {"iris,wine signed"}
    assert "--tag slipway-serving:latest" in build
    assert "slipway-serving:latest python -m serving.bake /context/store" in run
    assert "--env MLFLOW_TRACKING_PASSWORD " in run
    assert "--tag slipway-serving-baked:2" in bake
    assert "hidden" not in build + run + bake
    assert "docker run --rm --read-only" in done.stderr
    assert [each.name for each in house.state.iterdir()] == []


def test_trust_is_what_dotenv_says(house: House) -> None:
    house.change(SERVING_TRUST="digest")

    make(house, docker(house))

    assert {line.partition(" |")[0] for line in (house.root / "calls").read_text().splitlines()} == {"slipway digest"}


def test_what_cannot_be_baked_becomes_no_image(house: House) -> None:
    stopped = make(house, docker(house, fails_at="run"))

    assert stopped.returncode == 1
    assert stopped.stderr.splitlines() == [
        "no can do",
        "slipway: `docker run` stopped; the reason is above, and no image was made",
    ]
    assert len((house.root / "calls").read_text().splitlines()) == 2
    assert [each.name for each in house.state.iterdir()] == []
