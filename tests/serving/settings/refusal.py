"""What a start with wrong settings is refused by."""

import pytest

from serving import settings


def refused() -> list[str]:
    """A line for each."""
    with pytest.raises(settings.SettingsInvalid) as caught:
        settings.read()
    return caught.value.lines
