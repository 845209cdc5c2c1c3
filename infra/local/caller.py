"""Call the serving of this machine as who runs it: with the key of `.env`, and over TLS where serving has that."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from infra.local.errors import StackError
from infra.local.programs import PROGRAMS
from infra.local.settings import Settings

KEY = "SLIPWAY_API_KEY"
SECONDS = 5


@dataclass(frozen=True)
class Caller:
    """`key`: for a serving that asks for one. `trust`: which certificate is believed, where there is one."""

    url: str
    key: str = field(default="", repr=False)
    trust: ssl.SSLContext | bool = True

    @staticmethod
    def of(settings: Settings) -> "Caller":
        """StackError when the files of SERVING_TLS__* cannot be read."""
        url, tls = PROGRAMS["serving"].url(settings), settings.env.get("SERVING_TLS__CERTIFICATE")
        return Caller(url, settings.env.get(KEY, ""), _trusting(settings, settings.root / tls) if tls else True)

    def get(self, path: str) -> httpx.Response:
        """httpx.TransportError."""
        return self._ask("GET", path, seconds=SECONDS)

    def known(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`, an error's too; its `detail` says why where there is none.

        StackError when the certificate is not trusted: patience would not help.
        """
        try:
            found = self.get(path).json()
        except httpx.TransportError as cause:
            if "CERTIFICATE_VERIFY_FAILED" in str(cause):
                raise StackError(f"serving cannot be asked at {self.url}: {why(cause)}") from cause
            return {"detail": f"it cannot be asked: {why(cause)}"}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def post(self, path: str, body: Any, *, seconds: float) -> httpx.Response:
        """httpx.TransportError."""
        return self._ask("POST", path, seconds=seconds, json=body)

    def _ask(self, method: str, path: str, *, seconds: float, **more: Any) -> httpx.Response:
        known_by = {"authorization": f"Bearer {self.key}"} if self.key else {}
        # No trust_env: a proxy has nothing to say about this machine.
        with httpx.Client(verify=self.trust, timeout=seconds, trust_env=False, headers=known_by) as client:
            return client.request(method, self.url + path, **more)


def why(cause: httpx.TransportError) -> str:
    """In a person's words, where it was the certificate; else in the error's own."""
    found = re.search(r"certificate verify failed: (.*?)(?: \(_ssl|$)", str(cause))
    if found is None:
        return str(cause) or type(cause).__name__
    return f"its certificate is not trusted ({found[1]}); is it the one of SERVING_TLS__CERTIFICATE?"


def _trusting(settings: Settings, certificate: Path) -> ssl.SSLContext:
    """Believes whoever has the key of serving's own certificate, whoever signed that and whatever names are in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # 127.0.0.1 need not be among its names, and no other certificate is believed
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        # The first only: the others have signed certificates of other people too.
        own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        context.load_verify_locations(cadata=own.public_bytes(Encoding.PEM).decode())
        if settings.env.get("SERVING_TLS__CLIENT_CA"):  # as `python -m serving.check` does
            context.load_cert_chain(certificate, settings.root / settings.env["SERVING_TLS__KEY"])
    except (OSError, ValueError, KeyError) as cause:
        raise StackError(f"SERVING_TLS__CERTIFICATE or __KEY cannot be read: {cause}; change it in .env") from cause
    return context
