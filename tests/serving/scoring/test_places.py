"""Names of files, here and on S3."""

from pathlib import Path

import pytest

from serving.scoring.places import pair, place
from serving.scoring.refusal import NotScored


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("rows.txt", "its name must end in .csv, .parquet, .pq"),
        ("rows", "its name must end in"),
        ("s3://rows.csv", "not a bucket and a key"),
        ("https://example.com/rows.csv", "only files here and s3://"),
    ],
)
def test_a_name_that_says_too_little_is_refused(uri: str, reason: str) -> None:
    with pytest.raises(NotScored, match=reason):
        place(uri)


def test_the_form_is_in_the_name_however_it_is_written() -> None:
    assert [place(name).form for name in ("a.CSV", "a.parquet", "a.pq")] == ["csv", "parquet", "parquet"]


def test_an_output_that_is_the_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotScored, match="that is the input"):
        pair("rows.csv", str(tmp_path / "rows.csv"))


def test_what_is_seen_of_a_file_differs_once_it_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n1\n")
    before = place(str(file)).seen()
    assert place(str(file)).seen() == before

    file.write_text("x\n2\n")

    assert place(str(file)).seen() != before


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotScored, match=r"nowhere.csv: there is no such file"):
        place(str(tmp_path / "nowhere.csv")).seen()
