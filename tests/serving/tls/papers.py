"""Certificates in a folder, as an operator puts them there: good ones, bad ones, and new ones over old ones."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.local.authority import Authority, Issued
from serving.settings import Tls

NAMES = ("localhost", "127.0.0.1")
YESTERDAY = timedelta(days=-1)


@dataclass
class Papers:
    folder: Path
    authority: Authority = field(default_factory=lambda: Authority.new("tests"))

    def __post_init__(self) -> None:
        self.put()
        self.ca.write_bytes(self.authority.issued.certificate)

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def tls(self, *, mutual: bool = False) -> Tls:
        return Tls(certificate=self.certificate, key=self.key, client_ca=self.ca if mutual else None)

    def env(self, *, mutual: bool = False) -> dict[str, str]:
        named = {"CERTIFICATE": self.certificate, "KEY": self.key, "CLIENT_CA": self.ca if mutual else ""}
        return {f"SERVING_TLS__{name}": str(value) for name, value in named.items()}

    def put(self, issued: Issued | None = None) -> Issued:
        """Over what the server has; the key first, so that for a moment the two do not fit."""
        made = issued or self.authority.sign("slipway", NAMES)
        self.key.write_bytes(made.key)
        self.certificate.write_bytes(made.certificate)
        return made

    def client(self, name: str = "client", *, of: Authority | None = None, outdated: bool = False) -> dict[str, Any]:
        """A client's own files, as the keywords of `Client`."""
        good_for = YESTERDAY if outdated else timedelta(days=1)
        issued = (of or self.authority).sign(name, good_for=good_for)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(issued.certificate)
        key.write_bytes(issued.key)
        return {"certificate": certificate, "certificate_key": key}
