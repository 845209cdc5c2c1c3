import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInput
from serving.jobs.addresses import LONGEST_URL, checked, is_public


@pytest.mark.parametrize(
    "url", ["https://example.org/done", "https://example.org:8443/a?b=c", "https://93.184.216.34/"]
)
def test_an_address_on_the_public_internet_may_be_called(url: str) -> None:
    assert checked(url, private=False) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
    ],
)
def test_any_other_address_may_not(url: str) -> None:
    with pytest.raises(InvalidInput):
        checked(url, private=False)


def test_where_private_addresses_are_allowed_they_may_be_called() -> None:
    assert checked("http://127.0.0.1:8080/done", private=True) == "http://127.0.0.1:8080/done"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nowhere.test",
        "ftp://nowhere.test/",
        "https://",
        "https://user:password@nowhere.test/",
        "https://example.org/a b",
        "https://example.org/\r\nx: y",
        "https://example.org:99999/",
        "https://exämple.org/",
        "https://[::1",
        "file:///etc/passwd",
        "https://example.org/" + "x" * LONGEST_URL,
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_what_is_no_address_is_refused(url: str, *, private: bool) -> None:
    with pytest.raises(InvalidInput) as refusal:
        checked(url, private=private)
    assert not url or url == "https://" or url not in str(refusal.value)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_no_more_public_when_written_as_ipv6(address: ipaddress.IPv4Address) -> None:
    if not is_public(address):
        assert not is_public(ipaddress.ip_address(f"::ffff:{address}"))
