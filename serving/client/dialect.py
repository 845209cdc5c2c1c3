"""What a protocol has to be able to say, for `conversation.py` to speak it. Pure."""

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol

from serving.client.given import Rows
from serving.client.interface import Interface


class Question(NamedTuple):
    request: Any
    """As the protocol's carriers take it."""
    read: Callable[[Any], Any]
    """Makes of the carrier's response what was asked for; raises the ClientError that it tells of."""


class Dialect(Protocol):
    """Of one model."""

    def needs_interface(self, rows: Rows) -> bool:
        """Can these rows only be asked for by who knows what the model takes?"""

    def learns(self) -> Generator[Question, Any, Interface]:
        """The questions, one after the other, each sent the answer to it."""

    def asks(self, rows: Rows, interface: Interface | None, params: Mapping[str, Any], request_id: str) -> Question:
        """For a Reply. InvalidInput for what the protocol cannot hold."""

    def asks_lines(self, lines: list[bytes], request_id: str) -> Question | None:
        """For an outcome a line, each a row in JSON; None where there are no lines."""
