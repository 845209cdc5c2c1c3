"""Where a file of rows lies, here or on S3, and what it is: the one module that opens file systems.

S3 is reached by the names that boto3, DVC and MLflow read: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and the rest.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pyarrow import fs

from serving.scoring.refusal import NotScored

Form = Literal["csv", "parquet"]

_FORMS: dict[str, Form] = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_S3 = "s3://"


@dataclass(frozen=True)
class Place:
    uri: str
    """As it was typed."""
    files: Any  # a FileSystem; pyarrow has no annotations
    path: str
    """In `files`."""
    form: Form

    def seen(self) -> dict[str, object]:
        """What differs when the file's content does: size and time, and S3's ETag. NotScored where there is none."""
        about = self.files.get_file_info(self.path)
        if about.type != fs.FileType.File:
            raise NotScored(f"{self.uri}: there is no such file")
        with self.files.open_input_file(self.path) as file:
            # Of a file here there is none.
            tag = (file.metadata() or {}).get(b"ETag", b"").decode()
        return {"uri": self.uri, "bytes": about.size, "changed_ns": about.mtime_ns, "tag": tag}


def place(uri: str) -> Place:
    """NotScored where neither the name nor the environment says enough."""
    form = _FORMS.get(PurePosixPath(uri).suffix.lower())
    if form is None:
        raise NotScored(f"{uri}: its name must end in {', '.join(_FORMS)}")
    if uri.startswith(_S3):
        path = uri.removeprefix(_S3)
        if path.startswith("/") or "/" not in path:
            raise NotScored(f"{uri}: not a bucket and a key, such as s3://bucket/rows.parquet")
        return Place(uri, _s3(), path, form)
    if "://" in uri:
        raise NotScored(f"{uri}: only files here and s3:// can be read and written")
    return Place(uri, fs.LocalFileSystem(), str(Path(uri).absolute()), form)


def pair(given: str, out: str) -> tuple[Place, Place]:
    """Where to read and where to write. NotScored as `place`, and where both are one."""
    source, target = place(given), place(out)
    if (is_here(source), source.path) == (is_here(target), target.path):
        raise NotScored(f"{out}: that is the input")
    return source, target


def is_here(place: Place) -> bool:
    """Rather than on S3."""
    return isinstance(place.files, fs.LocalFileSystem)


def _s3() -> Any:
    """Keys are found by AWS's own rules, in the environment first."""
    address = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
    return fs.S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None,
        endpoint_override=address.netloc or None,
        scheme=address.scheme or None,
    )
