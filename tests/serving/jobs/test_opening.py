"""What a worker tells of jobs before it was asked for one."""

import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from serving.jobs.opening import Opening
from serving.settings import Jobs
from tests.servers import ROOT

COUNT = """
import sys
from pydantic import SecretStr
from serving.jobs.opening import Opening
from serving.settings import Jobs

told = Opening(Jobs(database=SecretStr(sys.argv[1])), ("iris",)).gauges()
print(dict((name, value) for name, labels, value in told if not labels), "dbos" in sys.modules)
"""


def test_to_count_jobs_needs_no_dbos(tmp_path: Path) -> None:
    """It takes longer to import than Prometheus likes to wait."""
    command = [sys.executable, "-c", COUNT, f"sqlite:///{tmp_path}/new/jobs.sqlite"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said.strip() == "{'slipway_jobs_reachable': 1, 'slipway_job_workers': 0} False"


def test_a_model_that_never_had_a_job_is_told_of(tmp_path: Path) -> None:
    opening = Opening(Jobs(database=SecretStr(f"sqlite:///{tmp_path}/jobs.sqlite")), ("iris", "wine"))

    told = {(name, *labels): value for name, labels, value in opening.gauges()}

    for model in ("iris", "wine"):
        assert told["slipway_jobs", model, "queued"] == told["slipway_jobs_ended_total", model, "dead"] == 0


def test_a_database_that_is_away_is_told_of() -> None:
    opening = Opening(Jobs(database=SecretStr("postgresql+psycopg://nobody:nothing@127.0.0.1:9/none")), ("iris",))

    assert opening.gauges() == [("slipway_jobs_reachable", (), 0)]
