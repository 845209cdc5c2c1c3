"""Give DVC the local S3 server's address and keys, so that plain `dvc push` works in any shell.

Written to .dvc/config.local, which DVC keeps out of git. `python -m infra.local.dvc_remote` does only this.
"""

from pathlib import Path

from infra.local.settings import Settings, load

REMOTE = "s3"


def write(settings: Settings) -> bool:
    """Whether there was anything to write: a DVC repository with a remote named `s3` whose settings differ."""
    folder = settings.root / ".dvc"
    if not folder.is_dir():
        return False
    from dvc.config import Config

    config = Config(str(folder))
    if REMOTE not in config.load_one("repo").get("remote", {}):
        return False
    wanted = _remote(settings)
    if config.load_one("local").get("remote", {}).get(REMOTE) == wanted:
        return False
    file = folder / Config.CONFIG_LOCAL
    file.touch()
    file.chmod(0o600)  # it will hold a secret
    with config.edit("local") as local:
        local.setdefault("remote", {})[REMOTE] = wanted
    return True


def _remote(settings: Settings) -> dict[str, str]:
    return {
        "endpointurl": settings.env["AWS_ENDPOINT_URL"],
        "access_key_id": settings.env["AWS_ACCESS_KEY_ID"],
        "secret_access_key": settings.env["AWS_SECRET_ACCESS_KEY"],
        "region": settings.env["AWS_DEFAULT_REGION"],
    }


if __name__ == "__main__":
    write(load(Path.cwd()))
