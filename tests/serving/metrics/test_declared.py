"""docs/metrics.md and the code name the same metrics."""

import re

import pytest

from serving.errors import FollowFailed, ServingError
from serving.metrics import block
from serving.metrics.declared import CODES, GROUPS, KINDS, ROUTES, SLOTS, Route, listed
from serving.rpc.exchange import route_of
from serving.rpc.inference_service import InferenceService
from serving.rpc.predictions_service import PredictionsService
from tests.servers import ROOT

DOCS = (ROOT / "docs/metrics.md").read_text()
ROW = re.compile(r"\| `(slipway_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \| ([^|]+) \|")
DOCUMENTED = {
    name: (kind, tuple(re.findall(r"`(\w+)`", labels)), question)
    for name, kind, labels, _, question in ROW.findall(DOCS)
}


def test_the_docs_have_every_metric_and_no_other() -> None:
    assert listed() == DOCUMENTED


def test_the_docs_name_every_value_that_a_label_can_have() -> None:
    known = set(re.findall(r"`([\w-]+)`", DOCS.partition("## Labels")[2]))

    listed_values = {
        value
        for group in GROUPS.values()
        for metric in group.metrics
        for axis in metric.axes
        if axis.labels != ("code",)
        for values in axis.values
        for value in values
    }
    assert listed_values <= known


@pytest.mark.parametrize(("label", "values"), [("kind", KINDS), ("slot", SLOTS)])
def test_the_docs_name_the_values_of_a_closed_set_and_no_other(label: str, values: tuple[str, ...]) -> None:
    (row,) = re.findall(rf"^\| `{label}` \|(.+)\|$", DOCS, re.MULTILINE)

    assert set(re.findall(r"`([a-z-]+)`", re.sub(r"\(.*?\)", "", row))) == set(values)


@pytest.mark.parametrize("program", ["supervisor", "fork server", "syncer", "worker 2", "job worker 1"])
def test_what_the_supervisor_starts_is_of_a_kind_that_is_known(program: str) -> None:
    assert block.kind_of(program) in KINDS


@pytest.mark.parametrize("name", sorted(listed()))
def test_a_name_says_what_it_counts(name: str) -> None:
    """https://prometheus.io/docs/practices/naming/"""
    kind, labels, question = listed()[name]

    assert re.fullmatch(r"slipway_[a-z0-9_]+", name)
    assert name.endswith("_total") is (kind == "counter")
    assert question.endswith("?")
    assert not {"le", "quantile", "job", "instance"} & set(labels)


def test_every_error_that_a_caller_can_meet_has_a_code() -> None:
    def below(kind: type[ServingError]) -> set[type[ServingError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    assert {each.code for each in below(ServingError) if not issubclass(each, FollowFailed)} <= set(CODES)


def test_every_way_to_predict_has_a_route() -> None:
    assert len(Route) == len(ROUTES)
    names = {name for each in (InferenceService, PredictionsService) for name in vars(each) if name[0].isupper()}
    assert {name for name in names if route_of(name) is not Route.OTHER_GRPC} == {
        name for protocol, name in ROUTES if protocol == "grpc" and name != "other"
    }
