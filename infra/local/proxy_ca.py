"""Take the certificate of the proxy's CA out of its container, for whoever calls serving from this machine.

`python -m infra.local.proxy_ca docker compose` is what `make compose-up` does last; it prints the command to try.
"""

import subprocess
import sys
from pathlib import Path

from infra.local import settings
from infra.local.patience import until

SECONDS = 30
INSIDE = "/data/caddy/pki/authorities/local/root.crt"


def main() -> None:
    here = settings.load(Path.cwd())
    if here.env.get("PROXY_TLS", "internal") != "internal":
        return  # who brings a certificate knows its CA
    file = here.state / "proxy-ca.pem"
    if not until(lambda: _taken(sys.argv[1:], file), seconds=SECONDS):
        sys.exit(f"slipway: the proxy has made no CA in {SECONDS} s; `docker-compose logs proxy` says why")
    address = f"https://localhost:{here.port('SERVING_PORT')}"
    sys.stdout.write(f"slipway: serving answers at {address}: curl --cacert {file} {address}/health\n")


def _taken(compose: list[str], file: Path) -> bool:
    done = subprocess.run([*compose, "exec", "-T", "proxy", "cat", INSIDE], capture_output=True, check=False)
    if done.returncode:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(done.stdout)
    return True


if __name__ == "__main__":
    main()
