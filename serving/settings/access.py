"""Who may ask, and what the way to them is protected by."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, field_validator, model_validator

from serving.loopback import is_loopback


class Auth(BaseModel, frozen=True, extra="forbid"):
    """Who may ask. Keys and tokens may be used side by side; with neither, everybody may."""

    keys: Path | None = None
    """The file that `python -m serving keys` writes."""

    issuer: str | None = None
    """Of JSON Web Tokens, as their `iss` has it."""

    audience: str | None = None
    """What their `aud` must name: this deployment, and no other service of the same issuer."""

    jwks: str | None = None
    """Where the issuer's public keys are: https://..., or a file."""

    anyone: bool = False
    """Let everybody in, though others than this machine can reach the port."""

    @property
    def asks(self) -> bool:
        """Must a caller say who it is?"""
        return self.keys is not None or self.jwks is not None

    @field_validator("keys")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not _is_file(path):
            raise ValueError(f"there is no file {path}; `python -m serving keys create` makes it")
        return path

    @field_validator("jwks")
    @classmethod
    def _protected(cls, place: str | None) -> str | None:
        if place is None or "://" not in place:
            if place is not None and not _is_file(Path(place)):
                raise ValueError(
                    f"there is no file {place}; it is to hold the issuer's public keys, or use https://..."
                )
            return place
        parts = urlsplit(place)  # by its host, which is not what an address begins with
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return place
        raise ValueError("must be https://..., or a file: who can change the keys can make tokens")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = {
            "SERVING_AUTH__ISSUER": self.issuer,
            "SERVING_AUTH__AUDIENCE": self.audience,
            "SERVING_AUTH__JWKS": self.jwks,
        }
        missing = [name for name, value in names.items() if not value]
        if 0 < len(missing) < len(names):
            raise ValueError(f"tokens need {', '.join(missing)} too")
        return self


class Tls(BaseModel, frozen=True, extra="forbid"):
    """PEM files, for REST and gRPC alike; they are read again when they change."""

    certificate: Path | None = None
    """With the certificates between it and its CA below it; without one serving speaks plain HTTP and gRPC."""

    key: Path | None = None

    client_ca: Path | None = None
    """Clients must show a certificate that one of these has signed; without it they need none."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("SERVING_TLS__CERTIFICATE and SERVING_TLS__KEY: one is set without the other; set both")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("SERVING_TLS__CLIENT_CA: without SERVING_TLS__CERTIFICATE nobody is asked for one; set it")
        return self


def _is_file(path: Path) -> bool:
    """ValueError where this user may not look."""
    try:
        return path.is_file()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; the user that serving runs as must be able to read it") from error
