from pathlib import Path

import pytest

from tests.serving.watching.follows import Worker


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)
