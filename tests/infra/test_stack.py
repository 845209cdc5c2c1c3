"""What `up` and `down` promise when all goes well, and what they heal."""

import os
import shutil
import signal
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from minio import Minio

from tests.infra.house import House, a_house
from tests.servers import eventually, free_port

REASON = "model 'slipwey' does not answer yet: no version is Production [yet]"
UNREADY = f"""
import http.server, json, os
class Unready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/v2/health/ready" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({{"detail": {REASON!r}}}).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["SERVING_PORT"])), Unready).serve_forever()
"""


def a_client(house: House) -> Minio:
    return Minio(
        f"127.0.0.1:{house.port('S3_PORT')}",
        access_key="slipway",
        secret_key="change-me-s3",  # noqa: S106 - .env.example's
        region="us-east-1",
        secure=False,
    )


def listens(port: int) -> bool:
    try:
        return bool(httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code)
    except httpx.TransportError:
        return False


def test_up_says_where_each_program_answers_and_status_agrees(house: House) -> None:
    up = house.run("up", "s3", "serving")
    status = house.run("status", "s3", "serving")

    assert up.returncode == 0, up.stderr
    for program, port in (("s3", house.port("S3_PORT")), ("serving", house.port("SERVING_PORT"))):
        assert f"{program:8} answers on http://127.0.0.1:{port}" in up.stdout
        assert f"http://127.0.0.1:{port}  yes" in status.stdout
    assert status.returncode == 0
    assert {bucket.name for bucket in a_client(house).list_buckets()} == {"mlflow", "dvc", "slipway-jobs"}


def test_a_serving_with_nothing_to_answer_by_is_up_and_status_tells_why_it_is_not_ready(house: House) -> None:
    house.serve(UNREADY)

    up, status = house.run("up", "serving"), house.run("status", "serving")

    assert up.returncode == 0, up.stderr
    for said in (up.stdout, status.stdout):
        assert f"serving is up, not ready: {REASON}\n" in said
    assert " yes" not in status.stdout
    assert status.returncode == 1


def test_a_second_up_starts_nothing(house: House) -> None:
    house.run("up", "s3", "serving")
    before = {process.pid for process in house.processes()}

    again = house.run("up", "s3", "serving")

    assert (again.returncode, again.stdout) == (0, "already up: s3, serving\n")
    assert {process.pid for process in house.processes()} == before


def test_up_starts_only_what_is_missing(house: House) -> None:
    house.run("up", "s3")
    s3 = house.pid("s3")

    up = house.run("up", "s3", "serving")

    assert "s3" not in up.stdout
    assert "serving  answers" in up.stdout
    assert house.pid("s3") == s3


def test_down_frees_the_ports_and_a_second_down_does_nothing(house: House) -> None:
    house.run("up", "s3", "serving")

    first, second = house.run("down"), house.run("down")

    assert (first.returncode, second.returncode) == (0, 0)
    assert not house.processes()
    assert not listens(house.port("S3_PORT"))
    assert not listens(house.port("SERVING_PORT"))
    assert second.stdout == "nothing is running\n"


def test_status_of_a_stack_that_is_down_fails(house: House) -> None:
    status = house.run("status")

    assert status.returncode == 1
    assert status.stdout.count("down") == 3


def test_a_killed_program_comes_back_though_its_child_held_the_port(house: House) -> None:
    house.run("up", "serving")
    killed = house.pid("serving")

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: house.pid("serving") not in (0, killed) and listens(house.port("SERVING_PORT")))
    house.eventually_well("serving")


def test_up_heals_a_killed_supervisord(house: House) -> None:
    house.run("up", "s3", "serving")
    orphans = {house.pid("s3"), house.pid("serving")}
    house.supervisord().kill()
    eventually(lambda: "supervisord was killed" in house.run("status").stdout)

    up = house.run("up", "s3", "serving")

    assert up.returncode == 0, up.stderr
    assert not orphans & {process.pid for process in house.processes()}
    assert house.run("status", "s3", "serving").returncode == 0


def test_down_stops_what_a_killed_supervisord_left(house: House) -> None:
    house.run("up", "s3", "serving")
    house.supervisord().kill()

    assert house.run("down").returncode == 0
    assert not house.processes()


def test_up_heals_a_wiped_s3_folder(house: House) -> None:
    house.run("up", "s3")
    a_client(house).put_object("dvc", "data", BytesIO(b"42"), 2)
    shutil.rmtree(house.state / "s3")
    assert "its files are gone" in house.run("status", "s3").stdout

    up = house.run("up", "s3")

    assert up.returncode == 0, up.stderr
    assert {bucket.name for bucket in a_client(house).list_buckets()} == {"mlflow", "dvc", "slipway-jobs"}
    assert not list(a_client(house).list_objects("dvc"))
    a_client(house).put_object("dvc", "data", BytesIO(b"42"), 2)
    assert (house.state / "s3" / "dvc" / "data").read_bytes() == b"42"


def test_up_heals_a_wiped_state_folder(house: House) -> None:
    house.run("up", "s3", "serving")
    shutil.rmtree(house.state)

    assert house.run("up", "s3", "serving").returncode == 0
    assert house.run("status", "s3", "serving").returncode == 0


@pytest.mark.slow
def test_up_heals_a_wiped_mlflow_database(house: House) -> None:
    url = f"http://127.0.0.1:{house.port('MLFLOW_PORT')}/api/2.0/mlflow/experiments/create"
    house.run("up", "mlflow")
    assert httpx.post(url, json={"name": "wine"}, timeout=60).status_code == 200
    (house.state / "mlflow.db").unlink()

    up = house.run("up", "mlflow")

    assert up.returncode == 0, up.stderr
    assert httpx.post(url, json={"name": "wine"}, timeout=60).status_code == 200


@pytest.mark.slow
def test_a_killed_mlflow_comes_back(house: House) -> None:
    house.run("up", "mlflow")

    os.kill(house.pid("mlflow"), signal.SIGKILL)

    house.eventually_well("mlflow")


def test_new_settings_start_what_ran_on_the_old_ones_again(house: House) -> None:
    house.run("up", "s3", "serving")
    old, new = house.port("SERVING_PORT"), free_port()
    house.change(SERVING_PORT=new)

    up = house.run("up", "serving")

    assert up.returncode == 0, up.stderr
    assert house.run("status", "s3", "serving").returncode == 0
    assert (listens(old), listens(new)) == (False, True)


def test_a_state_folder_too_deep_for_a_socket_works(tmp_path: Path, house: House) -> None:
    deep = a_house(tmp_path / "deep", state=tmp_path / ("d" * 100) / "state of it")

    up, status, down = deep.run("up", "s3"), deep.run("status", "s3"), deep.run("down")

    assert [done.returncode for done in (up, status, down)] == [0, 0, 0]
    assert len(str(deep.state)) > 108
    assert not deep.processes()
