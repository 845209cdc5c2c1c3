"""What every folder of tests may use: one S3 server, one MLflow server and one training for the whole session."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests import servers, workspace
from tests.scheduling import ByFile
from tests.workspace import Workspace

# How long an example takes says something of the machine, not of the code.
settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Stack]:
    """Shared, so tests take experiment and model names of their own (`unique_name`)."""
    with servers.stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def trained(stack: servers.Stack, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The path has run once on the breast-cancer data, with a key to sign by. Shared: look, do not change."""
    made = workspace.make(tmp_path_factory.mktemp("trained"), stack.env, model="trained-once")
    made.run("pipelines.keys")
    made.run("pipelines")
    return made


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> str:
    """A registered-model, experiment or bucket name that no other test uses."""
    return str(request.node.name).replace("_", "-").replace("[", "-").replace("]", "").lower()
