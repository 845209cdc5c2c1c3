"""What the local stack says, in one line, when it cannot start; and that it then leaves nothing behind."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from dotenv import dotenv_values

from tests.infra.house import House
from tests.servers import ROOT, eventually

EXAMPLE = dotenv_values(ROOT / ".env.example")
OWN = {name: "a-real-one-of-ours" for name, value in EXAMPLE.items() if (value or "").startswith("change-me")}
del OWN["AWS_SECRET_ACCESS_KEY"]
WITH_COMMA = {"AWS_SECRET_ACCESS_KEY": "open,sesame"}
ODD = 'a; "b" $c\'d%e'


@contextmanager
def somebody_on(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def the_line(house: House, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The one line that a failing command prints."""
    failed = house.run(*arguments, env=env)
    assert failed.returncode == 1, failed.stdout
    (line,) = failed.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("program", "name"),
    [("s3", "S3_PORT"), ("mlflow", "MLFLOW_PORT"), ("serving", "SERVING_PORT"), ("serving", "SERVING_GRPC_PORT")],
)
def test_a_taken_port_is_named_with_its_holder_and_what_to_change(house: House, program: str, name: str) -> None:
    port = house.port(name)
    with somebody_on(port):
        line = the_line(house, "up")

    assert line.startswith(f"slipway: port {port} is taken by ")
    assert f"(pid {os.getpid()}), and {program} wants it: free it, or change {name} in .env" in line
    assert not house.processes()


def test_all_taken_ports_are_named_at_once(house: House) -> None:
    s3, serving = house.port("S3_PORT"), house.port("SERVING_PORT")
    with somebody_on(s3), somebody_on(serving):
        line = the_line(house, "up")

    assert f"slipway: port {s3} is taken by " in line
    assert f"; port {serving} is taken by " in line
    assert line.endswith("and serving wants it: free them, or change S3_PORT, SERVING_PORT in .env")


def test_a_program_that_cannot_start_is_quoted(house: House) -> None:
    house.serve("raise OSError('the model store is on fire')")

    line = the_line(house, "up", "s3", "serving")

    assert "serving does not start: OSError: the model store is on fire" in line
    assert str(house.state / "logs" / "serving.log") in line
    assert not house.processes()


def test_an_old_complaint_in_the_log_is_not_quoted_again(house: House) -> None:
    house.serve("raise OSError('the model store is on fire')")
    house.run("up", "serving")
    house.serve("raise SystemExit(3)")

    assert "serving does not start: it said nothing" in the_line(house, "up", "serving")


def test_what_ran_before_a_failed_up_runs_on(house: House) -> None:
    house.run("up", "s3")
    s3 = house.pid("s3")
    house.serve("raise OSError('the model store is on fire')")

    the_line(house, "up", "s3", "serving")

    assert house.run("status", "s3").returncode == 0
    assert house.pid("s3") == s3
    assert not house.pid("serving")


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_up_leaves_nothing_running(house: House, request_to_stop: signal.Signals) -> None:
    house.serve("import signal; signal.pause()")  # never answers
    up = house.begin("up", "s3", "serving")
    eventually(lambda: house.pid("serving") and "s3" in (house.root / "output").read_text())

    os.killpg(up.pid, request_to_stop)

    assert up.wait(30) == 128 + request_to_stop
    assert not house.processes()


def test_placeholder_secrets_are_refused_outside_local(house: House) -> None:
    house.change(SLIPWAY_ENV="production", **OWN)

    line = the_line(house, "up")

    assert "SLIPWAY_ENV is production, not local, and AWS_SECRET_ACCESS_KEY still begins with change-me" in line
    assert not house.processes()


def test_real_secrets_are_welcome_outside_local(house: House) -> None:
    house.change(SLIPWAY_ENV="production", AWS_SECRET_ACCESS_KEY=ODD, **OWN)

    assert house.run("up", "s3").stderr == ""


def test_a_key_that_rclone_cannot_read_is_refused(house: House) -> None:
    house.change(**WITH_COMMA)

    assert "AWS_SECRET_ACCESS_KEY has a comma" in the_line(house, "up", "s3")
    assert not house.processes()


def test_no_secret_is_logged_or_on_a_command_line(house: House) -> None:
    sesame = "open-sesame-0451"
    house.change(AWS_SECRET_ACCESS_KEY=sesame)

    up = house.run("up", "s3", "serving")

    assert up.returncode == 0, up.stderr
    assert sesame not in up.stdout + up.stderr + house.run("logs").stdout + house.run("status").stdout
    assert not [log for log in (house.state / "logs").iterdir() if sesame in log.read_text()]
    assert not [process for process in house.processes() if sesame in " ".join(process.cmdline())]


def test_missing_names_are_listed(house: House) -> None:
    missing = {"S3_PORT": "", "AWS_DEFAULT_REGION": ""}

    assert "S3_PORT, AWS_DEFAULT_REGION not set" in the_line(house, "up", env=missing)


def test_a_port_that_is_no_number_is_refused(house: House) -> None:
    house.change(SERVING_PORT="eight thousand")

    assert "SERVING_PORT must be a port, a number from 1 to 65535; it is 'eight thousand'" in the_line(house, "up")


def test_two_programs_on_one_port_are_refused(house: House) -> None:
    house.change(SERVING_PORT=house.port("S3_PORT"))

    assert f"S3_PORT and SERVING_PORT are both {house.port('S3_PORT')}" in the_line(house, "up")


def test_the_environment_wins_over_the_file_and_addresses_follow(house: House) -> None:
    status = house.run("status", env={"SERVING_PORT": "7999"})

    assert "http://127.0.0.1:7999" in status.stdout


def test_logs_of_an_unknown_program_are_refused(house: House) -> None:
    refused = house.run("logs", "postgres")

    assert refused.returncode == 2
    assert "no program postgres: there are s3, mlflow, serving, supervisord" in refused.stderr


def test_logs_before_anything_ran_say_so(house: House) -> None:
    assert "nothing was started" in the_line(house, "logs")
