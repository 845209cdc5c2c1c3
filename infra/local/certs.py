"""`make certs`: a CA to develop with, and a certificate for servers and one for clients that it has signed.

Once more: what is near its end, or lacks a name, is made anew; the CA stays, so whoever trusts it goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from infra.local import settings
from infra.local.authority import Authority, Issued
from infra.local.errors import StackError

ALWAYS = ("localhost", "127.0.0.1", "::1")
NEAR = timedelta(days=30)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.certs", description=__doc__)
    parser.add_argument("names", nargs="*", help="more names and addresses of the server, beside localhost's")
    names = [each for word in parser.parse_args().names for each in word.split(",") if each]
    try:
        here = settings.load(Path.cwd())
        made = ensure(here.state / "certs", names)
        sys.stdout.write(_said(_short(here.state / "certs"), made, here.port("SERVING_PORT")))
    except (StackError, OSError) as failure:
        sys.exit(f"slipway: {failure}")


def ensure(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Which of `ca`, `server` and `client` were made; the others are still good."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    if _near_its_end(folder / "ca.pem"):
        _write(folder, "ca", Authority.new("Slipway development").issued)
        made.append("ca")
    authority = Authority.of(_read(folder, "ca"))
    wanted = [*ALWAYS, *(each for each in names if each not in ALWAYS)]
    server = folder / "server.pem"
    if made or _near_its_end(server) or not set(wanted) <= _names(server):
        # Names of an earlier time stay.
        more = sorted(_names(server) - set(wanted)) if server.exists() else []
        _write(folder, "server", authority.sign("slipway", [*wanted, *more]))
        made.append("server")
    if made[:1] == ["ca"] or _near_its_end(folder / "client.pem"):
        _write(folder, "client", authority.sign("slipway client"))
        made.append("client")
    return made


def _near_its_end(path: Path) -> bool:
    if not path.exists() or not path.with_suffix(".key").exists():
        return True
    found = x509.load_pem_x509_certificate(path.read_bytes())
    return found.not_valid_after_utc - datetime.now(UTC) < NEAR


def _names(path: Path) -> set[str]:
    found = x509.load_pem_x509_certificate(path.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = (str(each) for each in names.get_values_for_type(x509.IPAddress))
    return {*names.get_values_for_type(x509.DNSName), *addresses}


def _read(folder: Path, name: str) -> Issued:
    return Issued((folder / f"{name}.pem").read_bytes(), (folder / f"{name}.key").read_bytes())


def _write(folder: Path, name: str, issued: Issued) -> None:
    """Each file at once: a server that reads them meanwhile finds the old one or the new one."""
    for path, data, mode in ((f"{name}.key", issued.key, 0o600), (f"{name}.pem", issued.certificate, 0o644)):
        new = folder / f"{path}.new"
        new.unlink(missing_ok=True)
        new.touch(mode, exist_ok=False)  # before there is anything to read in it
        new.write_bytes(data)
        new.replace(folder / path)


def _short(folder: Path) -> Path:
    """As a person in the project's folder would write it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _said(folder: Path, made: Sequence[str], port: int) -> str:
    news = f"made {', '.join(made)}" if made else "all are still good"
    return f"""{folder}: {news}
For serving, in .env (the last line makes TLS mutual):
  SERVING_TLS__CERTIFICATE={folder}/server.pem
  SERVING_TLS__KEY={folder}/server.key
  SERVING_TLS__CLIENT_CA={folder}/ca.pem
Then:
  curl --cacert {folder}/ca.pem https://localhost:{port}/health
  curl --cacert {folder}/ca.pem --cert {folder}/client.pem --key {folder}/client.key https://localhost:{port}/health
"""


if __name__ == "__main__":
    main()
