"""Does MLflow answer, and to us? Over plain HTTP, for its client says less of what is wrong, and takes longer."""

import base64
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from urllib.parse import quote, unquote, urlsplit

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble
from serving.doctor.http import Seen, Silent, look

ASKED = "/api/2.0/mlflow/registered-models/search?max_results=1"
"""What needs the database, the login and the right Host header: `/health` needs none of them."""
ABOUT = "/api/3.0/mlflow/server-info"
HOSTS = "Invalid Host header"


def registry(scene: Scene) -> Iterator[Finding]:
    uri = scene.settings.tracking_uri
    if scene.settings.offline:
        yield skipped("registry", "SERVING_OFFLINE is true: nobody asks one")
        return
    if not uri.startswith(("http://", "https://")):
        yield skipped("registry", "MLFLOW_TRACKING_URI is no web address: the check `models` asks it")
        return
    base, headers = address(uri, scene.env)
    try:
        seen = look(base + ASKED, scene.patience_seconds, headers)
    except Silent as silent:
        yield trouble("registry-unreachable", f"{base}: {silent}")
        return
    wrong = refusal(base, seen)
    if wrong is not None:
        yield wrong
        return
    try:
        version = look(f"{base}/version", scene.patience_seconds, headers).text.strip()
        about = look(base + ABOUT, scene.patience_seconds, headers)
    except Silent as silent:
        yield trouble("registry-unreachable", f"{base}: {silent}")
        return
    yield from _details(base, version, about)


def address(uri: str, env: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Without the password that it may hold, and the headers that MLflow's client would send."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    user, password = parts.username, parts.password
    base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    if env.get("MLFLOW_TRACKING_USERNAME"):
        user, password = env["MLFLOW_TRACKING_USERNAME"], env.get("MLFLOW_TRACKING_PASSWORD")
    elif env.get("MLFLOW_TRACKING_TOKEN"):
        return base, {"authorization": f"Bearer {env['MLFLOW_TRACKING_TOKEN']}", "host": host}
    if user is None:
        return base, {"host": host}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return base, {"authorization": f"Basic {base64.b64encode(pair).decode()}", "host": host}


def refusal(base: str, seen: Seen) -> Finding | None:
    """What is wrong with its answer. Pure."""
    host = urlsplit(base).netloc
    if seen.status == 403 and HOSTS in seen.text:
        return trouble("registry-hosts", f"{base}: 403, it does not go by the name {quote(host, safe=':[]')}")
    if seen.status in {401, 403}:
        return trouble("registry-login", f"{base}: {seen.status}, it does not let us in")
    if seen.status >= 500:
        return trouble("registry-broken", f"{base}: it answers {seen.status}")
    if seen.status != 200 or not _is_object(seen.text):
        return trouble("registry-not-mlflow", f"{base}: {seen.status}, and not what MLflow would say")
    return None


def _details(base: str, version: str, about: Seen) -> Iterator[Finding]:
    ours = _installed()
    if version and ours and version.split(".")[:2] != ours.split(".")[:2]:
        yield trouble("registry-version", f"{base} is MLflow {version[:20]}, here it is {ours}")
    else:
        yield fine("registry", f"{base} is MLflow {version[:20]}")
    try:
        features = json.loads(about.text).get("features_enabled", {})
    except (ValueError, AttributeError):
        return
    if isinstance(features, dict) and features.get("gateway"):
        yield trouble("registry-extras", f"{base} runs parts of MLflow that Slipway has no use for")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _installed() -> str:
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""
