"""Put lines of JSON, each a row, into a body of MLflow's. Pure; only `line_rows.py` calls it."""

import msgspec
from msgspec import Raw

from serving.decoding.fields import summary
from serving.errors import InvalidInput
from serving.protocol import Column, Signature

_one_value = msgspec.json.Decoder(Raw).decode


class Bodies:
    def __init__(self, signature: Signature) -> None:
        self._inputs = signature.inputs
        self._columns = not self._inputs or isinstance(self._inputs[0], Column)
        names = [each.name for each in self._inputs]
        self._split = b'{"dataframe_split":{"data":[', b"]}}"
        if names and None not in names:
            self._split = b'{"dataframe_split":{"columns":' + msgspec.json.encode(names) + b',"data":[', b"]}}"
        self._tensor = b'{"inputs":[', b"]}"
        if names and names[0] is not None:
            self._tensor = b'{"inputs":{' + msgspec.json.encode(names[0]) + b":[", b"]}}"

    def of(self, lines: list[bytes]) -> bytes:
        """With these rows, all of one kind. InvalidInput for what is no row."""
        for line in lines:
            try:  # or a line could close the list around it, and say more
                _one_value(line)
            except (msgspec.MsgspecError, RecursionError):
                raise InvalidInput("the line is not JSON") from None
        before, after = self._around(kind(lines[0]))
        if kind(lines[0]) == "value" and self._columns:
            lines = [b"[" + line + b"]" for line in lines]
        return before + b",".join(lines) + after

    def _around(self, given: str) -> tuple[bytes, bytes]:
        if given == "object":
            return (b'{"dataframe_records":[', b"]}") if self._columns else (b'{"instances":[', b"]}")
        if self._columns and (given == "list" or len(self._inputs) == 1):
            return self._split
        if not self._columns and len(self._inputs) == 1:
            return self._tensor
        form = "an object" if not self._columns else "an object or a list"
        raise InvalidInput(f"a line is {form} with {summary(self._inputs)}")


def kind(line: bytes) -> str:
    """Only lines of one kind fit into one body."""
    return {b"{": "object", b"[": "list"}.get(line[:1], "value")
