"""What a run has answered so far: a folder beside the output, from which a killed run goes on.

`OUT.parts/` holds `task.json`, which says what is being scored by what, and a Parquet file for each chunk. A part that
was being written when the run was killed has no footer, and does not count. The output appears at the end, by one
rename (on S3: one copy), and the folder goes.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from serving.scoring import folders
from serving.scoring.places import Place, is_here
from serving.scoring.refusal import NotScored

_TASK = "task.json"
_WHOLE = "whole"
_OURS = re.compile(rf"{_TASK}|{_WHOLE}|\d{{8}}\.parquet")


class Parts:
    """`count` parts hold the answers to the first `rows` rows. `anew`: what an earlier run had left is of no use."""

    def __init__(self, out: Place, task: Mapping[str, object]) -> None:
        """`task` must be the same as that of the earlier run, or it starts from nothing. NotScored, OSError."""
        self._out, self._files = out, out.files
        self.count = self.rows = 0
        self.anew = False
        self._schema: Any = None
        if is_here(out) and Path(out.path).is_dir():
            raise NotScored(f"{out.uri} is a folder")
        self._folder = folders.folder(out)
        if foreign := [name for name in self._folder.names() if not _OURS.fullmatch(name)]:
            raise NotScored(f"{out.uri}.parts has something in it that no run has put there: {foreign[0]}")
        self._lock = _locked(out, self._folder.path)
        wanted = json.dumps(task, sort_keys=True, indent=1).encode()
        if self._read_task() == wanted:
            self._count()
        else:
            self.anew = self._clear()
            self._write(_TASK, wanted)

    def put(self, answers: Any) -> None:
        """The next part: a table with the columns that all parts have. NotScored where it has others, OSError."""
        if self._schema is None:
            self._schema = answers.schema
        if answers.schema != self._schema:
            raise NotScored(
                f"the answers to the rows from {self.rows + 1} on are of other types than those before: "
                f"{_types(answers.schema)}, not {_types(self._schema)}"
            )
        with self._files.open_output_stream(self._part(self.count)) as stream:
            pq.write_table(answers, stream)
        self.count += 1
        self.rows += len(answers)

    def assemble(self, look: Callable[[Any], None]) -> None:
        """Make the output of the parts, each of which is shown to `look`, and remove them. NotScored, OSError."""
        whole = f"{self._folder.path}/{_WHOLE}"
        try:
            with self._files.open_output_stream(whole) as stream, self._writer(stream) as write:
                for number in range(self.count):
                    with self._files.open_input_file(self._part(number)) as part:
                        table = pq.ParquetFile(part).read()
                    look(table)
                    write(table)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise NotScored(f"{self._out.uri}: a {self._out.form} file cannot hold {_types(self._schema)}") from error
        self._folder.publish(_WHOLE, self._out.path)
        self.remove()

    def remove(self) -> None:
        """The parts, and their folder."""
        self._clear()
        self._folder.end()

    def close(self) -> None:
        """Somebody else may go on from here."""
        if self._lock is not None:
            os.close(self._lock)

    def _count(self) -> None:
        while (part := self._whole_part(self.count)) is not None:
            self._schema = self._schema or part.schema_arrow
            self.rows += part.metadata.num_rows
            self.count += 1

    def _whole_part(self, number: int) -> Any:
        """None where there is none, or half of one."""
        try:
            with self._files.open_input_file(self._part(number)) as file:
                return pq.ParquetFile(file)
        except (FileNotFoundError, pa.ArrowInvalid):
            return None

    def _clear(self) -> bool:
        """Was there anything? The task goes first: parts without one are nobody's."""
        had = self._read_task() is not None
        self._folder.remove(_TASK)
        for name in self._folder.names():
            self._folder.remove(name)
        return had

    def _read_task(self) -> bytes | None:
        try:
            with self._files.open_input_file(f"{self._folder.path}/{_TASK}") as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        with self._files.open_output_stream(f"{self._folder.path}/{name}") as stream:
            stream.write(content)

    def _writer(self, stream: Any) -> AbstractContextManager[Callable[[Any], None]]:
        if self._out.form == "csv":
            return _writing(csv.CSVWriter(stream, self._schema))
        return _writing(pq.ParquetWriter(stream, self._schema))

    def _part(self, number: int) -> str:
        return f"{self._folder.path}/{number:08}.parquet"


@contextmanager
def _writing(writer: Any) -> Any:
    with writer:
        yield writer.write_table


def _locked(out: Place, folder: str) -> int | None:
    """A handle that keeps other runs away from the folder for as long as it is open; the kernel takes it from the dead.

    None on S3, which has no such locks.
    """
    if not is_here(out):
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise NotScored(f"{out.uri}: another run is writing it just now") from error
    except OSError:  # no such locks on this file system
        os.close(handle)
        return None
    return handle


def _types(schema: Any) -> str:
    return ", ".join(f"{each.name} {each.type}" for each in schema)
