"""Read a certificate with its key, and whose clients are let in, or say in one line what is wrong with them."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates

from serving.settings import Tls

CERTIFICATE, KEY, CLIENT_CA = "SERVING_TLS__CERTIFICATE", "SERVING_TLS__KEY", "SERVING_TLS__CLIENT_CA"


class CertificateInvalid(Exception):
    """Its text names the setting, the file, and what to do."""


class Certificates(NamedTuple):
    """What a server shows and asks for; files as they were read, and a context that is made of them."""

    certificate: bytes
    """With the certificates between it and its CA, if there are any."""
    key: bytes
    client_ca: bytes | None
    """Clients must show a certificate that one of these has signed; None: they need none."""
    until: datetime
    context: ssl.SSLContext


def read(places: Tls) -> Certificates:
    """CertificateInvalid."""
    if places.certificate is None or places.key is None:
        raise CertificateInvalid(f"{CERTIFICATE} and {KEY}: not set")
    certificate, key = _bytes(CERTIFICATE, places.certificate), _bytes(KEY, places.key)
    shown = _certificates(CERTIFICATE, places.certificate, certificate)[0]
    _refuse_outdated(CERTIFICATE, places.certificate, shown)
    try:
        fits = _public(shown.public_key()) == _public(_private_key(places.key, key).public_key())
    except UnsupportedAlgorithm as error:
        raise CertificateInvalid(f"{CERTIFICATE}: {places.certificate}: {error}; make it with P-256 or RSA") from error
    if not fits:
        raise CertificateInvalid(
            f"{KEY}: {places.key} is not the key of {places.certificate}; name the two of one pair"
        )
    client_ca = None
    if places.client_ca is not None:
        client_ca = _bytes(CLIENT_CA, places.client_ca)
        for each in _certificates(CLIENT_CA, places.client_ca, client_ca):
            _refuse_outdated(CLIENT_CA, places.client_ca, each)
    return Certificates(certificate, key, client_ca, shown.not_valid_after_utc, _context(places, client_ca))


def _context(places: Tls, client_ca: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # From the files once more, for there is no other way in; that they fit each other is checked there too.
        context.load_cert_chain(str(places.certificate), str(places.key), password=_no_password)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
    except (ssl.SSLError, OSError) as error:
        raise CertificateInvalid(f"{CERTIFICATE}: {places.certificate}: {error}; make it anew") from error
    return context


def _no_password() -> str:
    """Else OpenSSL asks for one on the terminal."""
    return ""


def _bytes(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateInvalid(
            f"{setting}: {path}: {error.strerror}; name a file that this user can read (`make certs` makes one to try)"
        ) from error


def _certificates(setting: str, path: Path, data: bytes) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(data)
    except ValueError as error:
        raise CertificateInvalid(f"{setting}: {path} holds no certificate; name a PEM file that does") from error


def _private_key(path: Path, data: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(data, password=None)
    except TypeError as error:
        raise CertificateInvalid(f"{KEY}: {path} is locked with a password; `openssl pkey` takes it off") from error
    except ValueError as error:
        raise CertificateInvalid(f"{KEY}: {path} holds no private key; name a PEM file that does") from error


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refuse_outdated(setting: str, path: Path, certificate: Certificate) -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        since = certificate.not_valid_after_utc.date()
        raise CertificateInvalid(f"{setting}: {path} is good until {since} and no longer; renew it")
    if now < certificate.not_valid_before_utc:
        begins = certificate.not_valid_before_utc
        raise CertificateInvalid(f"{setting}: {path} is not good before {begins}; wait, or set this machine's clock")
