"""What is said of candidates: how each is tried, whether it takes part, and what all workers have counted."""

from pathlib import Path
from typing import Any

from serving.lineup import Standing
from serving.trials import ledger
from serving.trials.tally import Counts, Tally, total


def member(standing: Standing, folder: Path | None) -> dict[str, Any] | None:
    """None without a candidate. `folder`: where the workers write what they count. Reads files."""
    return _told(standing, ledger.tallies(folder) if folder and standing.candidate else [])


def members(standings: list[Standing], folder: Path | None) -> list[dict[str, Any]]:
    """Of every model that has a candidate."""
    tried = [each for each in standings if each.candidate is not None]
    found = ledger.tallies(folder) if folder and tried else []
    return [{"model": each.name, **(_told(each, found) or {})} for each in tried]


def _told(standing: Standing, found: list[Tally]) -> dict[str, Any] | None:
    candidate = standing.candidate
    if candidate is None:
        return None
    trial, production = candidate.trial, standing.served.version.number if standing.served else None
    tally = total(Tally(standing.name, trial.version.number, trial.since_ms, production or 0), found)
    return {
        "version": trial.version.number,
        "mode": trial.mode,
        "percent": trial.percent,
        "since_ms": trial.since_ms,
        "state": candidate.state,
        "reason": candidate.reason,
        **_counts(tally.candidate),
        "compared": tally.compared,
        "disagreed": tally.disagreed,
        "dropped": tally.dropped,
        "production": {"version": production, **_counts(tally.beside)},
    }


def _counts(counts: Counts) -> dict[str, Any]:
    seconds = counts.p99_seconds
    return {
        "requests": counts.requests,
        "errors": counts.errors,
        "p99_ms": None if seconds is None else round(seconds * 1000, 3),
    }
