"""A model that something happens to before it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from serving.protocol import Answer, Model, Rows
from tests.fakes import FakeModel


@dataclass(frozen=True, eq=False)
class Acting(FakeModel):
    """Answers like `model`; before each call it does what `first` does with the number of the call, from 0."""

    model: Model | None = None
    first: Callable[[int], None] = lambda _: None
    calls: list[int] = field(default_factory=list)
    """Rows of each."""

    def predict(self, rows: Rows) -> Answer:
        assert self.model is not None
        self.calls.append(rows.count)
        self.first(len(self.calls) - 1)
        return self.model.predict(rows)


def acting(model: Model, first: Callable[[int], None] = lambda _: None) -> Acting:
    return Acting(signature=model.signature, plan=model.plan, runtime=model.runtime, model=model, first=first)


def dies_at(call: int) -> Callable[[int], None]:
    def first(number: int) -> None:
        if number == call:
            raise KeyboardInterrupt

    return first
