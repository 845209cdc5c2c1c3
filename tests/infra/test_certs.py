"""`make certs`, as a person runs it, and what OpenSSL says of the result."""

import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from infra.local.authority import Authority, Issued
from infra.local.certs import NEAR, ensure
from tests.infra.house import House, a_house

MADE = ("ca", "server", "client")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "certs"


def shaken(folder: Path, name: str) -> None:
    """A handshake in memory, the client with a certificate, by which `name` is the server's. SSLError."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    client = ssl.create_default_context(cafile=folder / "ca.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(folder / "client.pem", folder / "client.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname=name), server.wrap_bio(there, back, server_side=True)]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "slipway.test", "10.0.0.5"])
def test_client_and_server_shake_hands_by_every_name(folder: Path, name: str) -> None:
    ensure(folder, ["slipway.test", "10.0.0.5"])

    shaken(folder, name)


def test_no_other_name_is_the_servers(folder: Path) -> None:
    ensure(folder)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shaken(folder, "elsewhere.test")


def test_private_keys_are_for_nobody_else(folder: Path) -> None:
    ensure(folder)

    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.name for each in folder.iterdir()} == {f"{name}.{end}" for name in MADE for end in ("key", "pem")}


def test_once_more_makes_nothing_that_is_still_good(folder: Path) -> None:
    assert ensure(folder, ["slipway.test"]) == list(MADE)
    before = {path: path.read_bytes() for path in folder.iterdir()}

    assert ensure(folder) == []
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_near_its_end_or_lacks_a_name_is_renewed_by_the_same_ca(folder: Path) -> None:
    ensure(folder, ["slipway.test"])
    ca = Issued((folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes())
    soon = Authority.of(ca).sign("slipway client", good_for=NEAR - timedelta(days=1))
    (folder / "client.pem").write_bytes(soon.certificate)
    (folder / "client.key").write_bytes(soon.key)

    assert ensure(folder, ["another.test"]) == ["server", "client"]

    assert (folder / "ca.pem").read_bytes() == ca.certificate
    for name in ("another.test", "slipway.test"):  # names of an earlier time stay
        shaken(folder, name)


def run(house: House, *names: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "infra.local.certs", *names]
    return subprocess.run(command, cwd=house.root, env=house.environment(), capture_output=True, text=True, check=False)


def test_the_command_says_how_to_use_them_where_env_has_state_and_port(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house", state=tmp_path / "elsewhere")
    certs = tmp_path / "elsewhere" / "certs"

    said = run(house, "one.test,two.test").stdout

    assert f"curl --cacert {certs}/ca.pem https://localhost:{house.port('SERVING_PORT')}/health\n" in said
    assert f"SERVING_TLS__CERTIFICATE={certs}/server.pem" in said
    for name in ("one.test", "two.test"):
        shaken(certs, name)


def test_a_state_folder_below_the_project_is_named_as_env_names_it(tmp_path: Path) -> None:
    house = a_house(tmp_path)
    house.change(SLIPWAY_STATE=".slipway")

    assert "\n  SERVING_TLS__CERTIFICATE=.slipway/certs/server.pem\n" in run(house).stdout


def test_a_name_that_env_lacks_is_one_line(tmp_path: Path) -> None:
    house = a_house(tmp_path)
    house.change(SLIPWAY_STATE="")

    failed = run(house)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("slipway: SLIPWAY_STATE not set: ")
