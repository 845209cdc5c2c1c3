import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from serving.lineup import Lineup
from serving.trials import ledger
from serving.trials.ledger import Page, Writer
from serving.trials.tally import Counts, Tally
from tests.servers import eventually
from tests.serving.trials.on_trial import OnTrial, on_trial


@pytest.fixture
def trial() -> OnTrial:
    return on_trial("shadow")


def test_without_a_trial_nothing_is_written(tmp_path: Path) -> None:
    Writer(tmp_path, Lineup(("iris",)).tallies).write()

    assert list(tmp_path.iterdir()) == []


def test_what_every_worker_counted_is_read(tmp_path: Path, trial: OnTrial) -> None:
    other = on_trial("shadow")
    trial.counter.failed(7)
    other.counter.answered(6, 0.01)

    for each in (trial, other):
        Writer(tmp_path, each.lineup.tallies).write()

    assert [tally.candidate.errors + tally.beside.requests for tally in ledger.tallies(tmp_path)] == [1, 1]


def test_a_later_page_takes_the_place_of_the_one_before(tmp_path: Path, trial: OnTrial) -> None:
    writer = Writer(tmp_path, trial.lineup.tallies)
    for count in (1, 2, 3):
        trial.counter.failed(7)
        writer.write()

        (tally,) = ledger.tallies(tmp_path)
        assert tally.candidate.errors == count


def test_it_is_written_while_requests_are_answered(tmp_path: Path, trial: OnTrial) -> None:
    writer = Writer(tmp_path, trial.lineup.tallies)
    writer.start()
    try:
        trial.counter.failed(7)
        assert eventually(lambda: [each.candidate.errors for each in ledger.tallies(tmp_path)] == [1])
    finally:
        writer.stop()


def test_the_counts_of_a_candidate_that_is_out_stay(tmp_path: Path, trial: OnTrial) -> None:
    writer = Writer(tmp_path, trial.lineup.tallies)
    trial.counter.failed(7)
    standing = trial.lineup.standing("iris")
    assert standing.candidate is not None
    out = replace(standing.candidate, state="out", served=None, shadow=None)
    trial.lineup.put(replace(standing, candidate=out))

    writer.write()

    (tally,) = ledger.tallies(tmp_path)
    assert tally.candidate.errors == 1


def test_when_the_trial_is_over_its_counts_are_gone(tmp_path: Path, trial: OnTrial) -> None:
    writer = Writer(tmp_path, trial.lineup.tallies)
    trial.counter.failed(7)
    writer.write()
    trial.lineup.put(replace(trial.lineup.standing("iris"), candidate=None))

    writer.write()

    assert ledger.tallies(tmp_path) == []


def page(folder: Path, pid: int, *, ended: bool = False) -> None:
    import msgspec

    tallies = (Tally("iris", 7, 1, 6, Counts(1, 1)),)
    (folder / f"trials-{pid}-0.json").write_bytes(msgspec.json.encode(Page(pid, ended, tallies)))


@pytest.fixture
def gone() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


def test_who_died_is_known_and_still_counts(tmp_path: Path, gone: int) -> None:
    page(tmp_path, gone)
    page(tmp_path, os.getpid())

    assert {entry.page.pid: entry.died for entry in ledger.entries(tmp_path)} == {gone: True, os.getpid(): False}
    assert len(ledger.tallies(tmp_path)) == 2


def test_who_ended_by_itself_did_not_die(tmp_path: Path, gone: int) -> None:
    page(tmp_path, gone, ended=True)

    assert [entry.died for entry in ledger.entries(tmp_path)] == [False]


def test_a_worker_that_stops_says_so(tmp_path: Path, trial: OnTrial) -> None:
    writer = Writer(tmp_path, trial.lineup.tallies)
    writer.start()
    writer.stop()

    assert [entry.page.ended for entry in ledger.entries(tmp_path)] == [True]


def test_what_is_no_page_is_left_out(tmp_path: Path, trial: OnTrial) -> None:
    (tmp_path / "trials-1-0.json").write_text("[{")
    (tmp_path / "hosts").write_text("")
    Writer(tmp_path, trial.lineup.tallies).write()

    assert len(ledger.entries(tmp_path)) == 1
