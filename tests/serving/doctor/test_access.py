"""Who may ask, and certificates, as the doctor sees them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.access.key_file import Record
from serving.doctor.access import access, certificate, keys
from serving.doctor.finding import Scene
from serving.settings import Auth, Settings
from tests.serving.tls.papers import Papers

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def a_key(days: float | None, rotated_to: str | None = None) -> Record:
    expires = None if days is None else NOW + timedelta(days=days)
    return Record("abc", "the shop", "0" * 64, ("predict",), NOW, expires, rotated_to=rotated_to)


@pytest.mark.parametrize(
    ("records", "codes"),
    [
        ([], ["keys-none"]),
        ([a_key(-1)], ["keys-none"]),
        ([a_key(None)], [""]),
        ([a_key(90), a_key(-1)], [""]),
        ([a_key(90), a_key(13)], ["keys-ending"]),
        ([a_key(90), a_key(1, rotated_to="def")], [""]),
    ],
)
def test_keys_are_good_ending_or_none(records: list[Record], codes: list[str]) -> None:
    assert [each.code for each in keys(records, NOW)] == codes


@pytest.mark.parametrize(
    ("host", "auth", "codes"),
    [
        ("127.0.0.1", Auth(), [""]),
        ("0.0.0.0", Auth(), ["access-open"]),  # noqa: S104 - never bound
        ("0.0.0.0", Auth(anyone=True), ["access-anyone"]),  # noqa: S104
    ],
)
def test_a_port_that_others_reach_is_no_trouble_only_with_keys(host: str, auth: Auth, codes: list[str]) -> None:
    chosen = Settings(models=("iris",), offline=True, host=host, auth=auth)

    assert [each.code for each in access(Scene(chosen, {}))] == codes


def test_a_file_of_keys_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    chosen = Settings(models=("iris",), offline=True, auth=Auth(keys=tmp_path / "keys.json"))

    (found,) = access(Scene(chosen, {}))

    assert found.code == "keys-unreadable"
    assert "keys.json" in found.said


@pytest.mark.parametrize(("days", "code"), [(90, ""), (13, "certificate-ending"), (-1, "certificate-invalid")])
def test_a_certificate_is_good_ending_or_none(tmp_path: Path, days: int, code: str) -> None:
    papers = Papers(tmp_path)
    papers.put(papers.authority.sign("slipway", ("localhost",), good_for=timedelta(days=days)))

    assert certificate(papers.tls(), datetime.now(UTC)).code == code
