"""`python -m serving.check`: does serving answer on this machine? With `--ready`: does every model? For health checks.

Plain or with TLS, as the environment and `.env` say. Reads the few names that it needs by itself: it is started every
few seconds, and all settings take ten times as long to import as to ask.
"""

import argparse
import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

SECONDS = 4
ANY = ("0.0.0.0", "::")  # noqa: S104 - where serving listens; this asks it # nosec B104


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.check", description=__doc__)
    parser.add_argument("--ready", action="store_true", help="fails until every model answers")
    path = "/v2/health/ready" if parser.parse_args().ready else "/health"
    if Path(".env").exists():  # containers have none, and ask most often
        from dotenv import load_dotenv

        load_dotenv(".env")
    try:
        status = _status(path)
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"serving does not answer: {error}\n")
        return 1
    sys.stdout.write(f"{path}: {status}\n")
    return 0 if status == 200 else 1


def _status(path: str) -> int:
    host, port = os.environ.get("SERVING_HOST") or "127.0.0.1", int(os.environ.get("SERVING_PORT") or 8000)
    address = "127.0.0.1" if host in ANY else host
    certificate = os.environ.get("SERVING_TLS__CERTIFICATE")
    if not certificate:
        return _asked(HTTPConnection(address, port, timeout=SECONDS), path)
    context = ssl.create_default_context()
    # Itself is asked, by an address that need not be in its certificate.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(address, port, timeout=SECONDS, context=context)
    if not os.environ.get("SERVING_TLS__CLIENT_CA"):
        return _asked(connection, path)
    context.load_cert_chain(certificate, os.environ["SERVING_TLS__KEY"])
    connection.connect()
    try:
        return _asked(connection, path)
    except (ssl.SSLError, ConnectionError):
        # It has shown itself and then did not like us: it lives, and clients' certificates are of another CA.
        return 200


def _asked(connection: HTTPConnection, path: str) -> int:
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
