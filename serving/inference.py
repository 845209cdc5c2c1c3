"""From named tensors to named tensors: what both transports of the Open Inference Protocol do between their ends."""

import asyncio
from collections.abc import Mapping, Sequence

from serving.engine import Call, Engine
from serving.errors import InvalidInput, RowsRefused, UnknownVersion
from serving.interface import PREDICTIONS, output_name
from serving.lineup import Lineup, Served
from serving.protocol import PREDICT, PREDICT_PROBA, Answer, Array, Model, NotRows, Rows

LOOK_SECONDS = 0.05
PATIENCE_LOOKS = 400

Outputs = Sequence[tuple[str, Array]]


def served_as(lineup: Lineup, name: str, version: str) -> Served:
    """The version of `name` that answers; an empty `version` is Production. UnknownModel, NotReady, UnknownVersion."""
    served = lineup.served(name)
    if not version or version == str(served.version.number):
        return served
    beside = lineup.standing(name).candidate
    if beside is not None and beside.served is not None and version == str(beside.served.version.number):
        return beside.served
    raise UnknownVersion(name, served.version.number)


async def served_soon(lineup: Lineup, name: str, version: str = "") -> Served:
    """As `served_as`; while the first version is being loaded here, it is waited for a while.

    Workers load side by side: without it one would refuse what the other already answers.
    """
    for _ in range(PATIENCE_LOOKS):
        if not lineup.standing(name).coming:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return served_as(lineup, name, version)


def rows_of(served: Served, tensors: Sequence[tuple[str, Array]], params: Mapping[str, object] | None) -> Rows:
    """`params` are those of the request: the model's own, and `predict_proba`. InvalidInput with a reason."""
    return rows_for(served.model, tensors, params)


def rows_for(model: Model, tensors: Sequence[tuple[str, Array]], params: Mapping[str, object] | None) -> Rows:
    """As `rows_of`, for a model."""
    named = dict(tensors)
    if len(named) != len(tensors):
        raise InvalidInput("two inputs have the same name")
    plan = model.plan
    if plan is None:
        raise InvalidInput("this model takes values that no tensor can hold; send them to /invocations")
    inputs = model.signature.inputs
    if inputs and inputs[0].name is None:  # a plan counts what has no name; its metadata says input-0, input-1, ...
        named = {name.removeprefix("input-"): array for name, array in tensors}
    return plan.tensors(named, params)


async def ask(engine: Engine, served: Served, rows: Rows, wanted: Sequence[str], call: Call) -> Outputs:
    """The outputs called `wanted`, in that order and by those names; all of what `rows` ask for when there are none.

    Naming `predict_proba` asks the model for it, beside what else is named. InvalidInput for a name that there is not;
    errors of `Engine.answer`.
    """
    if not wanted:
        return _own(served, rows.method, await _answer(engine, served, rows, call))
    found: dict[str, Array] = {}
    for method in dict.fromkeys(_method(served, name) for name in wanted):
        answer = await _answer(engine, served, _asking(rows, method), call)
        found |= _known(_own(served, method, answer), method)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InvalidInput(f"an output is asked for that there is not; there are {', '.join(found)}")
    return [(name, found[name]) for name in wanted]


async def _answer(engine: Engine, served: Served, rows: Rows, call: Call) -> Answer:
    try:
        return await engine.answer(served, rows, call)
    except NotRows as error:
        raise RowsRefused("this model's answers are more than a value a row; ask for them at /invocations") from error


def _method(served: Served, name: str) -> str:
    own = any(each.name == name for each in served.model.signature.outputs)
    return PREDICT_PROBA if name == PREDICT_PROBA and not own else PREDICT


def _asking(rows: Rows, method: str) -> Rows:
    return rows if rows.method == method else Rows(rows.blocks, rows.count, method, rows.params, rows.names)


def _own(served: Served, method: str, answer: Answer) -> Outputs:
    """By the names that the model gives them."""
    if answer.names is not None:
        return list(zip(answer.names, answer.outputs, strict=True))
    name = output_name(served.model.signature) if method == PREDICT else PREDICT_PROBA
    return [(name, answer.outputs[0])]


def _known(outputs: Outputs, method: str) -> dict[str, Array]:
    """By every name that a caller may use for them."""
    if method == PREDICT_PROBA:
        return {PREDICT_PROBA: outputs[0][1]}
    known = dict(outputs) | {f"output-{at}": array for at, (_, array) in enumerate(outputs)}
    return {PREDICT: outputs[0][1], PREDICTIONS: outputs[0][1]} | known if len(outputs) == 1 else known
