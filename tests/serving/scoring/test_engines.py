"""The engine that not everybody has installed."""

import sys
from pathlib import Path

import pytest

from serving.scoring.engines import on_ray
from serving.scoring.refusal import NotScored
from tests.fakes import a_version


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serving.scoring.on_ray.engine", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(NotScored, match="Ray, which is not installed: pip install --group ray"):
        on_ray(a_version(7), tmp_path, None, print)
