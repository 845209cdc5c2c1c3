from pathlib import Path

import pytest

from serving.trust import Trust
from tests.serving.following.scene import Scene, Signing
from tests.serving.manifests import OURS, public


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def registry() -> Signing:
    return Signing()


@pytest.fixture
def signing(tmp_path: Path, registry: Signing) -> Scene:
    """Only what we have signed is served."""
    return Scene(tmp_path, registry, trust=Trust("signed", public(OURS)))
