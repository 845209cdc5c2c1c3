import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from infra.local.authority import Authority
from serving.tls.certificates import CertificateInvalid, read
from tests.serving.tls.papers import NAMES, YESTERDAY, Papers


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def lock(papers: Papers) -> None:
    key = load_pem_private_key(papers.key.read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    papers.key.write_bytes(locked)


def odd(papers: Papers) -> None:
    """A curve that OpenSSL knows and Python does not."""
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime192v3"]
    subprocess.run(["openssl", "genpkey", *curve, "-out", papers.key], check=True, capture_output=True)


WRONG: dict[str, tuple[Callable[[Papers], object], str]] = {
    "no file": (lambda papers: papers.certificate.unlink(), "SERVING_TLS__CERTIFICATE: .*server.pem: No such file"),
    "no key": (lambda papers: papers.key.unlink(), "SERVING_TLS__KEY: .*server.key: No such file .*make certs"),
    "no PEM": (lambda papers: papers.certificate.write_bytes(b"hello"), "SERVING_TLS__CERTIFICATE: .* no certificate"),
    "half a file": (
        lambda papers: papers.certificate.write_bytes(papers.certificate.read_bytes()[:200]),
        "SERVING_TLS__CERTIFICATE: .* holds no certificate; name a PEM file",
    ),
    "another's key": (
        lambda papers: papers.key.write_bytes(papers.authority.sign("other").key),
        "SERVING_TLS__KEY: .*server.key is not the key of .*server.pem",
    ),
    "locked key": (lock, "SERVING_TLS__KEY: .* locked with a password"),
    "odd key": (odd, "SERVING_TLS__CERTIFICATE: .*Curve .* is not supported; make it with P-256 or RSA"),
    "outdated": (
        lambda papers: papers.put(papers.authority.sign("slipway", NAMES, good_for=YESTERDAY)),
        "SERVING_TLS__CERTIFICATE: .* is good until .* and no longer; renew it",
    ),
    "no CA": (lambda papers: papers.ca.write_bytes(b""), "SERVING_TLS__CLIENT_CA: .*ca.pem holds no certificate"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_line_with_what_to_do(papers: Papers, what: str) -> None:
    spoil, said = WRONG[what]
    spoil(papers)

    with pytest.raises(CertificateInvalid, match=said) as refused:
        read(papers.tls(mutual=True))

    assert "\n" not in str(refused.value)


def test_a_certificate_comes_with_those_between_it_and_its_ca(papers: Papers) -> None:
    other = Authority.new("between")
    papers.certificate.write_bytes(papers.certificate.read_bytes() + other.issued.certificate)

    assert read(papers.tls()).certificate.count(b"BEGIN CERTIFICATE") == 2


def test_nothing_older_than_tls_1_2_is_spoken(papers: Papers) -> None:
    assert read(papers.tls()).context.minimum_version.name == "TLSv1_2"
