"""What serving says of a candidate, and what follows from it. Pure; `watch.py` asks.

The words are those of the member `candidate` in serving's `GET /v2/models/NAME`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, NonNegativeInt

from pipelines.trial import Trial

SHOWN = 300
"""Characters of a server's reason."""


class Share(BaseModel, frozen=True):
    """Of the callers' requests, those that one version has answered."""

    requests: NonNegativeInt = 0
    errors: NonNegativeInt = 0
    p99_ms: float | None = None


class Production(Share, frozen=True):
    version: int


class Heard(Share, frozen=True):
    """One server on its candidate, over all its workers, since the trial began."""

    version: int
    mode: Literal["canary", "shadow"]
    since_ms: int
    state: Literal["loading", "running", "out", "refused"]
    reason: str = ""
    compared: NonNegativeInt = 0
    disagreed: NonNegativeInt = 0
    dropped: NonNegativeInt = 0
    production: Production | None = None


@dataclass(frozen=True)
class Outcome:
    """`kind` is what to do; `reason` is a sentence for people."""

    kind: Literal["promote", "reject", "nothing"]
    reason: str


def judged(words: Mapping[str, Heard | str], trial: Trial, *, requests: int, over: bool) -> Outcome | None:
    """None: go on watching. `words` by server's address, a text where it says nothing of use; `over` at the deadline.

    A server that takes the candidate out decides for all. Only a candidate that every server has kept running until the
    deadline, for at least `requests` requests together, is promoted.
    """
    own = of_trial(words, trial)
    for url, word in own.items():
        if word.state in ("out", "refused"):
            return Outcome("reject", f"{url} took it {word.state}: {word.reason[:SHOWN] or 'it gave no reason'}")
    if not over:
        return None
    total, doubts = sum(word.requests for word in own.values()), list(_doubts(words, own))
    if total < requests:
        doubts.append(f"it has had {total} requests, and {requests} were asked for")
    return Outcome("nothing", doubts[0]) if doubts else Outcome("promote", f"{total} requests, no server took it out")


def of_trial(words: Mapping[str, Heard | str], trial: Trial) -> dict[str, Heard]:
    """The words that are about this trial, and not about one before it."""
    heard = {url: word for url, word in words.items() if isinstance(word, Heard)}
    return {url: word for url, word in heard.items() if trial.is_trial_of(word.version, word.since_ms)}


def _doubts(words: Mapping[str, Heard | str], own: Mapping[str, Heard]) -> Iterator[str]:
    for url, found in words.items():
        if isinstance(found, str):
            yield f"{url}: {found}"
        elif url not in own:
            yield f"{url} tells of another trial, of version {found.version}"
        elif found.state != "running":
            yield f"{url} is still {found.state} it"
