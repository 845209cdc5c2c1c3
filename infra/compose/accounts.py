"""Give serving its own account at MLflow, which may read and nothing else.

`python -m infra.compose.accounts` is a job of docker-compose.yml, run at each `up` as MLflow's administrator: the
account is made where there is none, and gets the password of now where it has another.
"""

import os
import sys
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import HTTPError

SECONDS = 30
UNAUTHORIZED = 401


class Refused(Exception):
    """What MLflow said."""


def ensure(env: Mapping[str, str]) -> None:
    """Refused, most likely for the administrator's password; HTTPError when MLflow is not there."""
    admin = env["MLFLOW_TRACKING_USERNAME"], env["MLFLOW_TRACKING_PASSWORD"]
    serving = env["MLFLOW_SERVING_USERNAME"], env["MLFLOW_SERVING_PASSWORD"]
    account = {"username": serving[0], "password": serving[1]}
    users = env["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/users"
    known = _ask("GET", f"{users}/get", serving, fields={"username": serving[0]})
    if known.status == 200:
        return
    if known.status == UNAUTHORIZED and _ask("POST", f"{users}/create", admin, json=account).status == 200:
        return
    # There is one, with another password; or the administrator is none, and this says so.
    changed = _ask("PATCH", f"{users}/update-password", admin, json=account)
    if changed.status != 200:
        raise Refused(f"{changed.status} {changed.data.decode(errors='replace')[:200]}")


def _ask(method: str, url: str, who: tuple[str, str], **sent: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    headers = urllib3.make_headers(basic_auth=":".join(who))
    return urllib3.request(method, url, headers=headers, timeout=SECONDS, retries=False, **sent)  # type: ignore[arg-type]  # by name


def main() -> None:
    try:
        ensure(os.environ)
    except (Refused, HTTPError) as refused:
        sys.exit(f"slipway: MLflow makes no account for serving: {refused}")


if __name__ == "__main__":
    main()
