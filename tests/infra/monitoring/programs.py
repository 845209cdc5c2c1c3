"""Prometheus's programs, which Debian has and PyPI has not."""

import shutil

import pytest

REMEDY = (
    "no {} here: apt-get install --no-install-recommends prometheus "
    "(where systemd runs, that starts a Prometheus too: systemctl disable --now prometheus)"
)


def program(name: str) -> str:
    """`prometheus` or `promtool`; the test is skipped, with the remedy, where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(REMEDY.format(name))
    return found
