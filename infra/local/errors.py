"""What the local stack may refuse to do or fail at."""


class StackError(Exception):
    """Carries the one line a person is shown: what is wrong, and what to do about it."""
