import logging
from pathlib import Path

import pytest

from serving.tls.latest import Latest
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
