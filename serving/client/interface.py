"""What a model takes, as its server describes it: needed where rows do not say which value is which. Pure."""

from typing import NamedTuple


class Input(NamedTuple):
    name: str
    datatype: str
    """Of the Open Inference Protocol."""
    shape: tuple[int, ...]
    """-1 is any length."""


class Interface(NamedTuple):
    version: str
    inputs: tuple[Input, ...]
    columns: bool
    """Is each input a column of a table? Else it is a tensor."""

    def is_older_than(self, version: str) -> bool:
        """Did another version answer than the one that this describes?"""
        return bool(version) and version != self.version
