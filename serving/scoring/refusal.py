"""Why a file is not scored. Never met by a caller of the server, so it is not in `serving/errors.py`."""


class NotScored(Exception):
    """One sentence for whoever typed the command. Where one value is wrong it names row, counted from 1, and column."""


class BadInput(NotScored):
    """The file itself is wrong: what was answered so far is of no use to anybody."""
