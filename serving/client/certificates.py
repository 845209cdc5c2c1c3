"""Whom a client trusts, and what it shows of itself, where a server speaks TLS. Imports no protocol's library."""

import ssl
from os import PathLike
from pathlib import Path
from typing import NamedTuple

File = str | PathLike[str]


class Certificates(NamedTuple):
    """PEM files."""

    ca: File | None = None
    """Signed the server's certificate; else those that this machine trusts."""
    certificate: File | None = None
    """Of the client, for servers that ask for one; with its key."""
    certificate_key: File | None = None

    def checked(self, *, secure: bool) -> "Certificates":
        """ValueError for what would not be used, or cannot be."""
        if any(self) and not secure:
            raise ValueError("ca, certificate and certificate_key are for https:// and grpcs://")
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key go together")
        for name, file in self._asdict().items():
            _read(name, file)
        return self

    def context(self) -> ssl.SSLContext | None:
        """For HTTP; None where nothing is said. ValueError."""
        if not any(self):
            return None
        try:
            made = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                made.load_cert_chain(self.certificate, self.certificate_key, password=_no_password)
        except ssl.SSLError as error:
            raise ValueError(f"ca, certificate or key is no PEM file, or no pair: {error.reason or error}") from error
        return made

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """CA, key and certificate, as gRPC takes them. ValueError."""
        ca, certificate, key = (_read(name, file) for name, file in self._asdict().items())
        return ca, key, certificate


def _read(name: str, file: File | None) -> bytes | None:
    try:
        return None if file is None else Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: {file}: {error.strerror}") from error


def _no_password() -> str:
    """Else OpenSSL asks for one on the terminal."""
    return ""
