"""A model with two versions that differ in every answer, served by two workers that are asked all the time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.publisher import Publisher, questions, with_twin
from tests.e2e.running import PROMOTED_SECONDS, Running, serving
from tests.load.rest import RestLoad
from tests.load.rpc import RpcLoad
from tests.servers import eventually

CONNECTIONS, CHANNELS = 32, 4
EVERY_SECONDS = 0.05
"""A connection: 720 requests a second, which leave two cores room for what the tests do to them."""
FACTORS = {1: 2.0, 2: 3.0, 3: 4.0}
"""Version 3 is not there until a test makes it."""
Make = Callable[[Path, float], Path]


@dataclass
class UnderLoad:
    """Version 1 is in Production and answers on every connection."""

    running: Running
    publisher: Publisher
    rest: RestLoad
    rpc: RpcLoad

    @property
    def model(self) -> str:
        return self.publisher.name

    def promoted(self, number: int, *, seconds: float = PROMOTED_SECONDS) -> None:
        """Promote, and wait until every connection is answered by it."""
        self.publisher.promote(number)
        self.answered_by(number, seconds=seconds)

    def answered_by(self, number: int, *, seconds: float) -> None:
        eventually(lambda: self.rest.all_answer(number) and self.rpc.all_answer(number), seconds=seconds)

    def goes_on(self) -> None:
        """Until every connection has been answered again."""
        for record in (self.rest.record, self.rpc.record):
            began = len(record) + 10 * len(record.latest)
            eventually(lambda: len(record) > began, seconds=60)  # noqa: B023 - ends in this turn

    def failed(self) -> set[int]:
        """The connections on which a request has failed; what was wrong is in the log."""
        failures = [*self.rest.record.failures, *self.rpc.record.failures]
        for each in failures:
            print(each)  # noqa: T201 - pytest shows it with what fails
        return {each.connection for each in failures}


@contextmanager
def under_load(env: Mapping[str, str], folder: Path, model: str, make: Make = with_twin) -> Iterator[UnderLoad]:
    publisher = Publisher(env["MLFLOW_TRACKING_URI"], model)
    for number in (1, 2):
        assert publisher.publish(make(folder / str(number), FACTORS[number])) == number
    publisher.promote(1)
    asked = questions(FACTORS)
    with ExitStack() as held:
        running = held.enter_context(serving(env, folder, model))
        rest = RestLoad(running.port, model, asked, connections=CONNECTIONS, every_seconds=EVERY_SECONDS)
        rpc = RpcLoad(running.grpc_port, model, asked, channels=CHANNELS, every_seconds=EVERY_SECONDS)
        yield UnderLoad(running, publisher, held.enter_context(rest), held.enter_context(rpc))
