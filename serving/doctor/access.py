"""Who may ask, and whether what lets them in is good for a while yet."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from serving.access import key_file
from serving.access.command_line import FILE
from serving.access.key_file import KeysUnreadable, Record
from serving.doctor.finding import Finding, Scene, fine, trouble
from serving.loopback import is_loopback
from serving.settings import Tls
from serving.tls import certificates
from serving.tls.certificates import CertificateInvalid

SOON = timedelta(days=14)


def access(scene: Scene) -> Iterator[Finding]:
    auth, host = scene.settings.auth, scene.settings.host
    if not auth.asks and is_loopback(host):
        unused = f"; {FILE} is not asked for, as SERVING_AUTH__KEYS is not set" if FILE.exists() else ""
        yield fine("access", f"everybody on this machine may ask; {host} lets nobody else in{unused}")
    elif not auth.asks:
        said = f"SERVING_HOST is {host}: nobody is asked for a key"
        yield trouble("access-anyone", said) if auth.anyone else trouble("access-open", said)
    if auth.keys is not None:
        try:
            yield from keys(key_file.read(auth.keys), datetime.now(UTC))
        except KeysUnreadable as error:
            yield trouble("keys-unreadable", str(error))
    if auth.jwks is not None:
        yield fine("access", f"tokens of {auth.issuer} for {auth.audience} are taken")


def keys(records: Sequence[Record], now: datetime) -> Iterator[Finding]:
    good = [each for each in records if each.expires is None or each.expires > now]
    # One that was rotated has another in its place.
    ending = [each for each in good if each.expires and each.expires < now + SOON and each.rotated_to is None]
    if not good:
        yield trouble("keys-none", "the file of keys holds none that is good now")
    elif ending:
        told = ", ".join(f"{each.id} ({each.name}) until {each.expires:%Y-%m-%d %H:%M}" for each in ending)
        yield trouble("keys-ending", told)
    else:
        yield fine("access", f"{len(good)} key(s) are good")


def tls(scene: Scene) -> Iterator[Finding]:
    given = scene.settings.tls
    if given.certificate is None:
        yield fine("tls", "SERVING_TLS__CERTIFICATE is not set: plain text, unless a proxy before it speaks TLS")
        return
    yield certificate(given, datetime.now(UTC))


def certificate(given: Tls, now: datetime) -> Finding:
    try:
        until = certificates.read(given).until
    except CertificateInvalid as error:
        return trouble("certificate-invalid", str(error))
    if until < now + SOON:
        return trouble("certificate-ending", f"{given.certificate} is good until {until:%Y-%m-%d %H:%M} UTC")
    shown = "clients must show one" if given.client_ca is not None else "clients need none"
    return fine("tls", f"{given.certificate} is good until {until:%Y-%m-%d}; {shown}")
