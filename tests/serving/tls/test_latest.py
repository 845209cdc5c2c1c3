import logging
from pathlib import Path

import pytest

from serving.tls.latest import AGAIN_SECONDS, Latest
from tests.fakes import Clock, no_descriptor_free
from tests.servers import eventually
from tests.serving.tls.papers import Papers


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def test_new_files_are_taken_at_the_next_look(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    latest = Latest(papers.tls())
    first = latest.now()
    assert latest.now() is first

    with caplog.at_level(logging.INFO, "serving"):
        issued = papers.put()

        assert latest.now().certificate == issued.certificate
    assert [record.getMessage() for record in caplog.records] == ["certificate changed"]


def test_a_broken_pair_keeps_the_former_one_and_is_said_once(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    latest = Latest(papers.tls())
    first = latest.now()
    issued = papers.authority.sign("slipway")

    papers.certificate.write_bytes(issued.certificate)  # and its key not yet

    assert [latest.now() for _ in range(3)] == [first] * 3
    assert [record.getMessage() for record in caplog.records] == ["certificate not taken, the former one stays"]
    assert "is not the key of" in caplog.records[0].__dict__["reason"]

    papers.key.write_bytes(issued.key)
    assert latest.now().certificate == issued.certificate


def test_what_could_not_be_read_once_is_read_soon(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing tells when a descriptor is free again, or when the time of a certificate has come."""
    clock = Clock()
    latest = Latest(papers.tls(), clock)
    first = latest.now()
    issued = papers.put()

    with no_descriptor_free():
        for _ in range(3):
            assert latest.now() is first
            clock.now += AGAIN_SECONDS
    assert ["Too many open files" in record.__dict__["reason"] for record in caplog.records] == [True]
    clock.now -= 1
    assert latest.now() is first, "not at each connection"
    clock.now += 1
    assert latest.now().certificate == issued.certificate
    assert latest.now() is latest.now()


def test_another_reason_is_said_too(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    latest = Latest(papers.tls(), clock)
    papers.certificate.write_bytes(papers.authority.sign("slipway").certificate)  # and its key not yet

    with no_descriptor_free():
        latest.now()
    clock.now += AGAIN_SECONDS
    latest.now()

    reasons = [record.__dict__["reason"] for record in caplog.records]
    assert ["Too many open files" in each for each in reasons] == [True, False]


def test_files_that_get_other_rights_are_read_at_once(papers: Papers) -> None:
    latest = Latest(papers.tls(), Clock())
    issued = papers.put()
    with no_descriptor_free():
        assert latest.now().certificate != issued.certificate

    def allowed() -> bool:
        """The files' clock moves on in steps of milliseconds."""
        before = papers.key.stat().st_ctime_ns
        papers.key.chmod(0o640)
        return papers.key.stat().st_ctime_ns != before

    eventually(allowed)

    assert latest.now().certificate == issued.certificate


def test_files_that_are_gone_change_nothing(papers: Papers, caplog: pytest.LogCaptureFixture) -> None:
    latest = Latest(papers.tls(mutual=True))
    first = latest.now()

    papers.ca.unlink()

    assert latest.now() is first
    assert "No such file" in caplog.records[0].__dict__["reason"]


def test_a_folder_that_another_one_replaces_is_noticed(papers: Papers, tmp_path: Path) -> None:
    """As Kubernetes changes secrets: the names stay, a link beside them leads elsewhere."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Papers(tmp_path / "one", papers.authority), Papers(tmp_path / "two", papers.authority)
    link = tmp_path / "now"
    link.symlink_to(one.folder)
    latest = Latest(Papers.tls(Papers(link, papers.authority)))

    (tmp_path / "next").symlink_to(two.folder)
    (tmp_path / "next").replace(link)

    assert latest.now().certificate == two.certificate.read_bytes()
