"""What readers and actors take along: the version's files and the settings, so that a node needs nothing but libraries.

Not in Ray's `runtime_env`, which Ray writes into its logs: there are keys of S3 among the settings.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import ray

from serving import settings
from serving.protocol import Version


@dataclass(frozen=True)
class Luggage:
    version: Version
    folder: Path
    node: str
    """The one on which the folder is."""
    files: Mapping[str, "ray.ObjectRef[bytes]"]
    """For the others, by their paths in it."""
    environment: Mapping[str, str] = field(repr=False)


def packed(version: Version, folder: Path, *, is_shared: bool) -> Luggage:
    """`is_shared`: there may be other nodes."""
    files = [each for each in folder.rglob("*") if each.is_file()] if is_shared else []
    # Each on its own: a node may have less memory than the version has bytes.
    contents = {str(each.relative_to(folder)): ray.put(each.read_bytes()) for each in files}
    return Luggage(version, folder.absolute(), here(), contents, _environment())


def here() -> str:
    """This node's number."""
    found: str = ray.get_runtime_context().get_node_id()
    return found


@contextmanager
def unpacked(luggage: Luggage) -> Iterator[Path]:
    """The version's files on this node."""
    if luggage.node == here():
        yield luggage.folder
        return
    with TemporaryDirectory(prefix="slipway-") as home:
        folder = Path(home, luggage.version.name, luggage.folder.name)  # as deep as in a store
        for name, content in luggage.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(ray.get(content))
        yield folder


def _environment() -> dict[str, str]:
    # What is about jobs is nothing to score by, and has secrets in it.
    wanted = {name for name in settings.env_names() if not name.startswith(f"{settings.PREFIX}JOBS__")}
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith("AWS_")}
