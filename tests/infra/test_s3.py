"""Which S3 server is started, and how it learns its one user's keys."""

from pathlib import Path

from infra.local import s3

ENV = {"S3_PORT": "9000", "AWS_ACCESS_KEY_ID": "slipway", "AWS_SECRET_ACCESS_KEY": "open-sesame"}


def test_minio_is_preferred_where_it_is_on_the_path(tmp_path: Path) -> None:
    minio = tmp_path / "bin" / "minio"
    minio.parent.mkdir()
    minio.touch(mode=0o755)

    command = s3.command({**ENV, "SLIPWAY_STATE": str(tmp_path), "PATH": str(minio.parent)})

    assert command == [str(minio), "server", "--quiet", "--address", "127.0.0.1:9000", str(tmp_path / "s3")]


def test_rclone_is_found_beside_this_python(tmp_path: Path) -> None:
    program, *arguments = s3.command({**ENV, "SLIPWAY_STATE": str(tmp_path), "PATH": "/nowhere"})

    assert Path(program).name == "rclone"
    assert arguments[:2] == ["serve", "s3"]
    assert arguments[-1] == str(tmp_path / "s3")


def test_the_keys_travel_in_the_environment(tmp_path: Path) -> None:
    env = s3.environment(ENV)

    assert (env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"]) == ("slipway", "open-sesame")
    assert env["RCLONE_AUTH_KEY"] == '"slipway,open-sesame"'
    assert "open-sesame" not in " ".join(s3.command({**ENV, "SLIPWAY_STATE": str(tmp_path)}))
