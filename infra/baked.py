"""`make image-baked`: an image that serves what is Production now, and needs no MLflow to do so.

The store is baked inside the serving image, so that every version is tried with the very libraries that will serve it,
and is then laid into a second image on top of that one.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.local import settings
from infra.local.errors import StackError
from infra.local.settings import Settings

SERVING = "slipway-serving:latest"
BAKED = "slipway-serving-baked"
BUILD = ("PIP_INDEX_URL", "TORCH_BACKEND", "FIND_LINKS")
"""Arguments of serving.Dockerfile, from the environment."""
DECIDE = (
    *("SERVING_RUNTIME", "SERVING_TRUST", "SERVING_TRUST_KEYS"),
    *("SERVING_ALLOW_CODE", "SERVING_SKOPS_TYPES", "SERVING_PACKAGES"),
)
"""Which versions are served and how: the image serves by what they were tried with."""
REGISTRY = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.baked", description=__doc__)
    parser.add_argument("--models", help="registered models, comma-separated; SERVING_MODELS if not given")
    parser.add_argument("--tag", default="latest", help="of the image")
    words = parser.parse_args()
    try:
        if shutil.which("docker") is None:
            raise StackError("there is no `docker` on the PATH, and an image is made with it")
        here = settings.load(Path.cwd())
        models = words.models or here.env.get("SERVING_MODELS", "")
        # As in docker-compose.yml: an image leaves this machine.
        make(here, models, f"{BAKED}:{words.tag}", trust=here.env.get("SERVING_TRUST") or "signed")
    except StackError as failure:
        sys.exit(f"slipway: {failure}")


def make(here: Settings, models: str, image: str, *, trust: str) -> None:
    """StackError; what Docker and the baking have to say is on the terminal by then."""
    env = {**here.env, "SERVING_MODELS": models, "SERVING_TRUST": trust}
    requirements = env.get("SERVING_REQUIREMENTS") or "serving"
    dockerfile = ("--file", "infra/docker/serving.Dockerfile", "--build-arg", f"REQUIREMENTS={requirements}")
    _docker(here, env, "build", *dockerfile, *_named("--build-arg", BUILD, env), "--tag", SERVING, ".")
    here.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="baking-", dir=here.state) as context:
        _docker(here, env, *_bake(Path(context), env))
        decided = _named("--build-arg", ("SERVING_MODELS", *DECIDE), env)
        base = ("--file", "infra/docker/baked.Dockerfile", "--build-arg", f"SERVING_IMAGE={SERVING}")
        _docker(here, env, "build", *base, *decided, "--tag", image, context)
    ports = "--publish 127.0.0.1:8000:8000 --publish 127.0.0.1:8001:8001"
    sys.stderr.write(f"slipway: {image} serves {models}, with no MLflow: docker run --rm --read-only {ports} {image}\n")


def _bake(context: Path, env: dict[str, str]) -> Iterator[str]:
    """On the host's network, where MLFLOW_TRACKING_URI is the address that .env says."""
    yield from ("run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}")
    yield from ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108 - of the container # nosec B108
    yield from _named("--env", ("SERVING_MODELS", *DECIDE, *REGISTRY), env)
    yield from ("--volume", f"{context}:/context", SERVING, "python", "-m", "serving.bake", "/context/store")


def _named(flag: str, names: tuple[str, ...], env: dict[str, str]) -> Iterator[str]:
    """Only names: Docker finds the values in its own environment, and nobody in the list of processes."""
    for name in names:
        if env.get(name):
            yield from (flag, name)


def _docker(here: Settings, env: dict[str, str], *words: str) -> None:
    if subprocess.run(["docker", *words], cwd=here.root, env=env, check=False).returncode:
        raise StackError(f"`docker {words[0]}` stopped; the reason is above, and no image was made")


if __name__ == "__main__":
    main()
