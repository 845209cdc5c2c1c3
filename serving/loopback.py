"""Which hosts are this machine alone."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Does nobody but this machine reach it?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
