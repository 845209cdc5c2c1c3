"""Which addresses a callback may go to. Pure."""

import ipaddress
from urllib.parse import urlsplit

from serving.errors import InvalidInput

LONGEST_URL = 2000


def checked(url: str, *, private: bool) -> str:
    """The address, if one may be called there. InvalidInput.

    Where its name leads is looked at again when it is called: names change.
    """
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidInput("the callback is no address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_right or not url.isascii():
        raise InvalidInput("the callback must be an address such as https://example.org/done")
    if parts.username is not None or len(url) > LONGEST_URL or any(character.isspace() for character in url):
        raise InvalidInput(f"the callback must have no user name and no space, and at most {LONGEST_URL} characters")
    if private:
        return url
    if parts.scheme != "https":
        raise InvalidInput("the callback must be https, unless SERVING_JOBS__PRIVATE_CALLBACKS is set")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return url
    if not is_public(literal):
        raise InvalidInput("the callback's address is not on the public internet")
    return url


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Also of an IPv4 address that is written as an IPv6 one."""
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return address.is_global and not address.is_multicast and (mapped is None or is_public(mapped))
