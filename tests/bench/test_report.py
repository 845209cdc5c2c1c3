from collections.abc import Sequence

from tests.bench import report
from tests.bench.goals import goals
from tests.bench.lines import BESIDE_PLAIN, KEYED, MLFLOW, PYFUNC, TWIN, Line
from tests.bench.loads import Measured
from tests.bench.processes import Memory
from tests.bench.turns import Pair, Round, Turns


def a_line(
    server: str = TWIN,
    model: str = "linear",
    *,
    protocol: str = "REST",
    connections: int = 32,
    speeds: Sequence[float] = (800,),
    memory: Memory = Memory(118),  # noqa: B008 - frozen
) -> Line:
    """Beside a floor that answers 1000 requests a second, in 2 ms."""
    rounds = tuple(Round(Measured(1000, 2, 4), Measured(speed, 2.5, 6)) for speed in speeds)
    return Line(protocol, server, model, 1, connections, Pair(rounds), memory)


def a_run(model: str, *, twin: float = 800) -> list[Line]:
    return [
        a_line(MLFLOW, model, speeds=[16]),
        a_line(model=model, connections=1),
        a_line(model=model, speeds=[twin]),
        a_line(model=model, protocol="gRPC"),
        a_line(PYFUNC, model, speeds=[200], memory=Memory(110, 210)),
    ]


def test_every_goal_is_seen_for_every_model() -> None:
    found = goals(a_run("linear") + a_run("forest"))

    assert [list(each.seen) for each in found] == [["linear", "forest"]] * 7
    assert [each.seen["linear"] for each in found] == [0.8, 50, 1.5, 12.5, 1.25, 0.8, 118]
    assert all(each.reached for each in found)


def test_a_goal_is_missed_if_one_model_misses_it() -> None:
    found = goals(a_run("linear") + a_run("forest", twin=699))

    assert [each.reached for each in found] == [False, True, True, True, True, True, True]
    assert "| linear 0.800, forest 0.699 | ≥ 0.7 | NOT reached |" in report.markdown(
        a_run("linear") + a_run("forest", twin=699), Turns(3, 2), {}
    )


def test_keys_are_held_to_what_they_cost() -> None:
    beside = a_line(BESIDE_PLAIN, connections=1)  # whose floor takes 2 ms, where it takes 2.5

    found = goals([a_line(KEYED, speeds=[640, 660, 700]), beside])

    assert [(each.seen, each.reached) for each in found] == [({"linear": 0.66}, True), ({"linear": 0.5}, False)]


def test_a_line_shows_its_own_floor_and_how_its_rounds_differ() -> None:
    lines = [*a_run("linear"), a_line("Slipway, native", speeds=[700, 850, 800], memory=Memory(110, 210.4))]

    last = report.markdown(lines, Turns(3, 2), {}).splitlines()[-1]

    assert last.startswith("| REST | Slipway, native | linear | 1 | 32 | 800 | 1,000 | 0.80 (0.70 to 0.85) |")
    assert last.endswith("| 2.50 | 2.00 | 6.00 | 4.00 | 110 + 210 |")


def test_peers_alone_reach_no_goals_and_are_told_of() -> None:
    text = report.markdown([a_line("Ray Serve")], Turns(3, 2), {"Ray Serve": "2.60.0"})

    assert goals([a_line("Ray Serve")]) == []
    assert "| goal |" not in text
    assert "- Ray Serve 2.60.0\n" in text
    assert "batching" not in report.markdown(a_run("linear"), Turns(3, 2), {})


def test_what_could_not_be_measured_is_named() -> None:
    text = report.markdown(a_run("linear"), Turns(3, 2), {}, ["LitServe, batching, forest: still busy"])

    assert text.endswith("\nLeft out:\n\n- LitServe, batching, forest: still busy\n")


def test_what_was_left_out_or_had_again_is_told_below_the_table() -> None:
    told = report.markdown(
        [a_line()], Turns(3, 2), {}, ["MLServer, forest: still busy"], ["Slipway, 1 rows: 2 refused"]
    )

    assert told.endswith(
        "\n\nLeft out:\n\n- MLServer, forest: still busy"
        "\n\nMeasured again, since not every answer was a 200:\n\n- Slipway, 1 rows: 2 refused\n"
    )
    assert "Left out" not in report.markdown([a_line()], Turns(3, 2), {})
