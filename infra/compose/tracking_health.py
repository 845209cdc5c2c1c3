"""Ask MLflow what serving asks, by the name that serving uses; /health would notice neither a wrong Host header nor a
lost database.

The health check of the service `mlflow`, as the administrator that its environment names.
"""

import os
import sys

import urllib3

URL = "http://mlflow:5000/api/2.0/mlflow/experiments/search?max_results=1"


def main() -> None:
    who = f"{os.environ['MLFLOW_AUTH_ADMIN_USERNAME']}:{os.environ['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    answer = urllib3.request("GET", URL, headers=urllib3.make_headers(basic_auth=who), timeout=8, retries=False)
    if answer.status != 200:
        sys.exit(f"MLflow answers {answer.status}")


if __name__ == "__main__":
    main()
