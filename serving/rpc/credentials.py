"""What gRPC needs to know of the certificates; it asks anew for each connection."""

import grpc

from serving.tls.certificates import Certificates
from serving.tls.latest import Latest


def of(latest: Latest) -> grpc.ServerCredentials:
    return grpc.dynamic_ssl_server_credentials(
        _configuration(latest.now()),
        _Fetch(latest),  # type: ignore[arg-type]  # may answer None, as gRPC's own documentation says
        require_client_authentication=latest.mutual,
    )


class _Fetch:
    """Answers with nothing while nothing has changed."""

    def __init__(self, latest: Latest) -> None:
        self._latest, self._given = latest, latest.now()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        now = self._latest.now()
        if now is self._given:
            return None
        self._given = now
        return _configuration(now)


def _configuration(read: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(read.key, read.certificate)], read.client_ca)
