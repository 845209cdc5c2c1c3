"""Keep the posted candidate of one model true to the registry: fetch and try it aside, so that Production never waits.

Part of a `Follower`, which asks it at each poll; what takes long happens in a thread of its own.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from serving.errors import NoLongerWanted, NotPosted, VersionRefused
from serving.following.preparing import Attempts, Tools, prepare
from serving.protocol import Trial, Version
from serving.store.posted import Candidate, Posting

log = logging.getLogger(__name__)

Run = Callable[[Callable[[], None]], None]


def in_thread(work: Callable[[], None]) -> None:
    # A daemon: a download that hangs must not keep the process from ending.
    threading.Thread(target=work, name="candidate", daemon=True).start()


class Candidacy:
    def __init__(self, name: str, tools: Tools, run: Run = in_thread) -> None:
        self._name, self._tools, self._run = name, tools, run
        self._attempts = Attempts(tools.clock)
        self._preparing: Version | None = None
        self._tried: Version | None = None
        """By this process: what an earlier one has posted may have been changed since."""

    @property
    def version(self) -> Version | None:
        """Whose files must stay in the store."""
        candidate = self._tools.board.posting(self._name).candidate
        return self._preparing or (candidate.trial.version if candidate is not None else None)

    def prepares(self, version: Version) -> bool:
        """Is it being fetched or tried right now?"""
        return self._preparing is not None and self._preparing.has_files_of(version)

    def say(self, trial: Trial | None) -> None:
        """Post what is to be tried, as far as that needs no work: another percent, an end. At once."""
        self._change(lambda candidate: _said(candidate, trial))

    def prepare(self) -> None:
        """Begin what it takes to have the posted candidate loaded by the workers."""
        candidate = self._tools.board.posting(self._name).candidate
        if candidate is None or candidate.out or self._preparing is not None:
            return
        wanted = candidate.trial.version
        done = candidate.folder and wanted.has_files_of(self._tried)
        if not done and not self._attempts.too_early(wanted):
            self._preparing = wanted
            self._run(lambda: self._prepare(wanted))

    def _prepare(self, wanted: Version) -> None:
        extra = {"model": self._name, "version": wanted.number}
        log.info("candidate loading", extra=extra)
        try:
            folder = prepare(self._tools, wanted, lambda: self._unwanted(wanted))
            self._tried = wanted
            self._attempts.forgive()
            self._note(wanted, folder=folder, refusal="")
            log.info("candidate posted", extra=extra)
        except VersionRefused as error:
            retry_seconds = self._attempts.refused(wanted)
            log.error("candidate refused", extra={**extra, "reason": str(error), "retry_seconds": retry_seconds})
            self._tools.counts.refused(self._name, "syncer")
            self._note(wanted, folder="", refusal=str(error))
        except NoLongerWanted:
            log.info("candidate no longer wanted", extra=extra)
        except NotPosted as error:  # the next poll tries again
            log.error("candidate not posted", extra={**extra, "reason": str(error)})
        finally:
            self._preparing = None

    def _unwanted(self, version: Version) -> bool:
        posting = self._tools.board.posting(self._name)
        return posting.candidate is None or not posting.candidate.trial.version.has_files_of(version)

    def _note(self, wanted: Version, *, folder: str, refusal: str) -> None:
        """Where it is still wanted."""

        def noted(candidate: Candidate | None) -> Candidate | None:
            if candidate is None or not candidate.trial.version.has_files_of(wanted):
                return candidate
            return replace(candidate, folder=folder, refusal=refusal)

        self._change(noted)

    def _change(self, change: Callable[[Candidate | None], Candidate | None]) -> None:
        def changed(posting: Posting) -> Posting:
            return replace(posting, candidate=change(posting.candidate))

        try:
            self._tools.board.change(self._name, changed)
        except OSError as error:
            raise NotPosted(error.strerror or type(error).__name__) from error


def _said(posted: Candidate | None, trial: Trial | None) -> Candidate | None:
    if trial is None:
        return None
    if posted is None or not posted.trial.version.has_files_of(trial.version):
        return Candidate(trial)
    if not posted.trial.same_as(trial):
        return Candidate(trial, posted.folder)
    return replace(posted, trial=trial)
