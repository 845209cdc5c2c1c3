"""A certificate authority to develop with: keys, its own certificate, and those that it signs. Knows no files."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
DAYS = 365
BEFORE = timedelta(hours=1)
"""Good since then already: other machines' clocks are late."""


class Issued(NamedTuple):
    """As PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs for servers and for clients alike, so that a server can ask itself how it is."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate, self._key = certificate, key

    @classmethod
    def new(cls, name: str) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        made = (
            _builder(subject, subject, key, timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )
        return cls(made.sign(key, hashes.SHA256()), key)

    @classmethod
    def of(cls, issued: Issued) -> Self:
        """ValueError for what is none."""
        key = load_pem_private_key(issued.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("not a key that this makes")
        return cls(x509.load_pem_x509_certificate(issued.certificate), key)

    @property
    def issued(self) -> Issued:
        return Issued(self._certificate.public_bytes(Encoding.PEM), _pem(self._key))

    def sign(
        self, name: str, alternatives: Sequence[str] = (), *, good_for: timedelta = timedelta(days=DAYS)
    ) -> Issued:
        """`alternatives`: the DNS names and IP addresses by which a server is called."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        mine = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        made = (
            _builder(_named(name), self._certificate.subject, key, good_for)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(mine), critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName([_alternative(each) for each in alternatives])
            made = made.add_extension(names, critical=False)
        return Issued(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, good_for: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + good_for) - BEFORE)
        .not_valid_after(now + good_for)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
