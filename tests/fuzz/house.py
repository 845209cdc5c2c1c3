"""What is asked: an app over a real model, with jobs, and the real processes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serving.app import More, build
from serving.engine import Engine
from serving.jobs.opening import Opening
from serving.lineup import Lineup, Served, Standing
from serving.rest.front import Front
from serving.rest.watched import Watched
from serving.runtimes import mlmodel, twin
from serving.settings import Jobs
from tests.fakes import a_version
from tests.serving.twins import a_twin


@contextmanager
def an_app(folder: Path) -> Iterator[tuple[Front | Watched, Engine]]:
    """Answers with an ONNX twin of `iris` and takes jobs, which nobody works at."""
    model = twin.load(mlmodel.read(a_twin(folder / "twin", factor=3)))
    assert model is not None
    lineup = Lineup(("iris",))
    lineup.put(Standing("iris", Served(a_version(7), model, 256)))
    with ExitStack() as held:
        engine = Engine(lineup)
        held.callback(engine.close)
        opening = Opening(Jobs.model_validate({"database": f"sqlite:///{folder}/jobs.sqlite"}))
        yield build(engine, more=More(opening=opening), largest_body=1 << 20), engine
