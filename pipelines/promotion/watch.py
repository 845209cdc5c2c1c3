"""Ask the servers how a candidate does, until one takes it out or the time is over. Changes nothing itself."""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request

from dotenv import dotenv_values
from pydantic import ValidationError

from pipelines.progress import following, say
from pipelines.promotion.heard import Heard, Outcome, judged, of_trial
from pipelines.trial import Trial

KEY = "SLIPWAY_API_KEY"
"""What servers that ask for a key are shown; one that wants none does not mind."""
POLL_SECONDS = 1.0
ANSWER_SECONDS = 5.0
LARGEST_ANSWER = 4 << 20
"""Bytes of a server's metadata that are read."""

# No proxy: a server is asked where its address says, and 127.0.0.1 most of the time.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@dataclass(frozen=True)
class Limits:
    """How long the candidate has to do well, and how many requests it has to have had by then."""

    minutes: float
    requests: int


@dataclass(frozen=True)
class Watched:
    outcome: Outcome
    heard: dict[str, Heard]
    """What each server said last of this trial."""


def watch(servers: Sequence[str], model: str, trial: Trial, limits: Limits, *, still: Callable[[], bool]) -> Watched:
    """Returns once there is an outcome. `still` tells whether the registry's candidate is this one; it is asked when a
    server that knew it does not any more."""
    ends, known, said = time.monotonic() + limits.minutes * 60, set[str](), dict[str, str]()
    with following(limits.minutes * 60) as show:
        while True:
            words = {url: ask(url, model) for url in servers}
            heard = of_trial(words, trial)
            left = ends - time.monotonic()
            show(left, f"{trial.shown}: {sum(word.requests for word in heard.values())} of {limits.requests} requests")
            said = _tell(words, said)
            outcome = judged(words, trial, requests=limits.requests, over=left <= 0)
            if outcome is None and known - heard.keys() and not still():
                outcome = Outcome("nothing", "somebody has ended or changed the trial meanwhile")
            if outcome is not None:
                return Watched(outcome, heard)
            known |= heard.keys()
            time.sleep(min(POLL_SECONDS, max(left, 0)))  # noqa: TID251 - serving has no way to call us


def ask(url: str, model: str) -> Heard | str:
    """What the server at `url` says of its candidate; a sentence where it says nothing of use."""
    try:
        with _open(_request(url, model, _key()), timeout=ANSWER_SECONDS) as answer:
            told = json.loads(answer.read(LARGEST_ANSWER))
        candidate = told.get("candidate") if isinstance(told, dict) else None
        return "it has no candidate" if candidate is None else Heard.model_validate(candidate)
    except HTTPError as refused:
        return f"it answers {refused.code} for {model}"
    except URLError as down:
        return f"it does not answer ({down.reason})"
    except ValidationError as wrong:
        return f"what it says of its candidate cannot be read ({wrong.errors()[0]['loc']})"
    except (OSError, ValueError) as broken:
        return f"it does not answer with metadata of a model ({type(broken).__name__})"


def _request(url: str, model: str, key: str | None) -> Request:
    asked = Request(f"{url.rstrip('/')}/v2/models/{quote(model, safe='')}")  # noqa: S310 - a server's own address
    if key:
        asked.add_header("Authorization", f"Bearer {key}")
    return asked


def _key() -> str | None:
    return os.environ.get(KEY) or dotenv_values(".env").get(KEY)


def _tell(words: dict[str, Heard | str], before: dict[str, str]) -> dict[str, str]:
    """Say what has changed; the counts are in the progress bar."""
    now = {
        url: word if isinstance(word, str) else f"version {word.version} {word.state}" for url, word in words.items()
    }
    for url, word in now.items():
        if before.get(url) != word:
            say(f"watch: {url}: {word}")
    return now
