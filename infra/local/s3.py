"""Become the S3 server: `minio` where it is on the PATH, else rclone's.

`python -m infra.local.s3` reads S3_PORT, SLIPWAY_STATE and the AWS_* keys, and replaces itself with the server.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.errors import StackError


def command(env: Mapping[str, str]) -> list[str]:
    """The server's command line; folders below `SLIPWAY_STATE/s3` are its buckets. StackError when it cannot start."""
    folder = Path(env["SLIPWAY_STATE"]) / "s3"
    address = f"127.0.0.1:{env['S3_PORT']}"
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    if minio := shutil.which("minio", path=path):
        return [minio, "server", "--quiet", "--address", address, str(folder)]
    if rclone := shutil.which("rclone", path=path):
        if "," in env["AWS_ACCESS_KEY_ID"] + env["AWS_SECRET_ACCESS_KEY"]:
            raise StackError(
                "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY has a comma, which rclone cannot read: change it in .env"
            )
        # A short memory of listings: where objects were deleted by hand, DVC must not think that they are still there.
        return [rclone, "serve", "s3", "--dir-cache-time", "1s", "--addr", address, str(folder)]
    raise StackError("no S3 server: neither minio nor rclone is on the PATH; `make setup` installs rclone")


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the one user of the server under the names that MinIO and rclone read.

    Not on the command line, which other users of the machine can read.
    """
    user, password = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    pair = f"{user},{password}".replace('"', '""')
    return {
        **env,
        "MINIO_ROOT_USER": user,
        "MINIO_ROOT_PASSWORD": password,
        "RCLONE_AUTH_KEY": f'"{pair}"',  # quoted: rclone reads a line of CSV here, and one pair is one entry
        "RCLONE_CONFIG": os.devnull,  # a person's own rclone settings are not this server's
    }


def main() -> None:
    program = command(os.environ)
    Path(program[-1]).mkdir(parents=True, exist_ok=True)
    os.execve(program[0], program, environment(os.environ))


if __name__ == "__main__":
    main()
