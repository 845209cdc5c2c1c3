"""Keep one model's posting true: notice a new Production version, fetch it, try it, post it to the workers.

The only writer of the board. The old version stays posted until the new one has predicted its own input example.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from serving.errors import NoLongerWanted, NotPosted, RegistryUnreachable, VersionRefused
from serving.following.candidacy import Candidacy, Run, in_thread
from serving.following.preparing import Attempts, Tools, prepare
from serving.following.production import Decision, choose
from serving.protocol import Version, View
from serving.store.posted import Posting, Refusal
from serving.store.reads import Reads
from serving.trials.candidate import beside

__all__ = ["Follower", "Outage", "Tools"]

log = logging.getLogger(__name__)

PROMOTE = "promote one: python -m pipelines.promote"


@dataclass
class Outage:
    """Whether the registry answers; several followers notice at once, and the log should say it once."""

    since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, now: float) -> bool:
        with self._lock:
            first, self.since = self.since is None, now if self.since is None else self.since
            return first

    def ends(self) -> float | None:
        """When it had begun, to the first who asks."""
        with self._lock:
            since, self.since = self.since, None
            return since


class Follower:
    """Keeps one model's posting true."""

    def __init__(self, name: str, tools: Tools, outage: Outage, run: Run = in_thread) -> None:
        """`run` does what Production need not wait for."""
        self.name = name
        self._tools = tools
        self._outage = outage
        self._decision: Decision | None = None
        self._reported: tuple[str, ...] = ()
        self._attempts = Attempts(tools.clock)
        self._intact = False
        self._candidacy = Candidacy(name, tools, run)
        self._kept = self._candidacy.version
        self._tidy = False
        self._reads = Reads(tools.store.folder)
        self._trying: Version | None = None
        """Being fetched or tried; no poll begins meanwhile."""
        self._unwanted: Version | None = None
        """The one that was being tried when the registry was seen to want another; it says nothing of the next one."""

    def confirm(self) -> None:
        """While a version is fetched or tried, which may take minutes: look whether it is still the one that is wanted.

        One that hangs must not hold up the next; and what is read is noted, since serving is not stale meanwhile.
        """
        trying = self._trying
        if trying is None:
            return
        with suppress(RegistryUnreachable):  # the next poll says so
            wanted = choose(self._decision, self._tools.registry.read(self.name)).version
            self._reads.note(self.name)
            if wanted is None or not wanted.has_files_of(trying):
                self._unwanted = trying

    def poll(self) -> None:
        """Read the registry once and do what it takes to serve what it says. NotPosted when that cannot be told."""
        try:
            view = self._tools.registry.read(self.name)
        except RegistryUnreachable as error:
            self._registry_lost(error)
            return
        self._registry_found()
        self._tidy_up()
        self._decision = choose(self._decision, view)
        trial, faults = beside(view, self._decision.version or self._posting.version)
        self._report((*self._decision.disagreements, *self._orphaned(view), *faults))
        if not self._being_promoted(self._decision.version):
            self._candidacy.say(trial)
        if self._decision.version is not None:
            self._serve(self._decision.version)
        else:
            self._put(waiting_for=f"{_missing(self.name, view)} yet; {PROMOTE}")
        self._candidacy.prepare()

    def _registry_lost(self, error: RegistryUnreachable) -> None:
        if self._outage.begins(self._tools.clock()):
            log.warning("registry unreachable", extra={"reason": str(error)})
        self._put(registry_reachable=False)

    def _registry_found(self) -> None:
        self._reads.note(self.name)
        since = self._outage.ends()
        if since is not None:
            log.info("registry is back", extra={"after_seconds": round(self._tools.clock() - since, 1)})
        self._put(registry_reachable=True)

    def _orphaned(self, view: View) -> Iterator[str]:
        posted = self._posting.version
        if posted and self._decision and self._decision.version is None:
            # Somebody archived it before promoting the next one, perhaps; dropping requests would help nobody.
            yield f"{_missing(self.name, view)}; version {posted.number} keeps answering; {PROMOTE}"

    def _report(self, sentences: tuple[str, ...]) -> None:
        """Log what a second poll still sees: `promote` changes stage and alias one after the other."""
        seen_before = self._posting.disagreements
        if sentences == seen_before != self._reported:
            self._reported = sentences
            for sentence in sentences:
                log.warning("registry disagrees", extra={"model": self.name, "disagreement": sentence})
        self._put(disagreements=sentences)

    def _serve(self, wanted: Version) -> None:
        posted = self._posting.version
        if posted is not None and posted.has_files_of(wanted) and self._still_intact(wanted):
            if posted.tags != wanted.tags:
                self._put(version=wanted)
            return
        if self._attempts.too_early(wanted) or self._candidacy.prepares(wanted):
            return
        began = self._tools.clock()
        try:
            folder = self._prepare(wanted)
            self._post(wanted, folder, seconds=self._tools.clock() - began)
        except NoLongerWanted as error:  # the next poll finds out which one is
            log.info("version given up", extra={"model": self.name, "version": wanted.number, "reason": str(error)})
        except (VersionRefused, NotPosted) as error:
            self._refuse(wanted, str(error))

    def _being_promoted(self, wanted: Version | None) -> bool:
        """Is the candidate about to be Production? Workers have it loaded, so it stays until it is."""
        candidate = self._posting.candidate
        if wanted is None or candidate is None or self._attempts.too_early(wanted):
            return False
        return candidate.trial.version.has_files_of(wanted) and not wanted.has_files_of(self._posting.version)

    def _still_intact(self, posted: Version) -> bool:
        """Looked at once: what an earlier process has posted may have been changed since."""
        if not self._intact:
            try:
                self._tools.trust.check(self._tools.store.folder / self._posting.folder, posted)
            except (VersionRefused, OSError):
                return False  # it is fetched as if it were new; why it is refused is said there
            self._intact = True
        return True

    def _prepare(self, wanted: Version) -> str:
        log.info("version loading", extra={"model": self.name, "version": wanted.number})
        self._put(waiting_for=f"version {wanted.number} is being downloaded and tried")
        self._trying = wanted
        try:
            return prepare(self._tools, wanted, lambda: self._unwanted is wanted)
        finally:
            self._trying = None

    def _refuse(self, wanted: Version, reason: str) -> None:
        retry_seconds = self._attempts.refused(wanted)
        extra = {"model": self.name, "version": wanted.number, "reason": reason, "retry_seconds": retry_seconds}
        log.error("version refused", extra=extra)
        self._tools.counts.refused(self.name, "syncer")
        self._put(refusal=Refusal(wanted.number, reason), waiting_for=f"version {wanted.number} was refused: {reason}")

    def _post(self, wanted: Version, folder: str, *, seconds: float) -> None:
        posting = self._posting
        old, refusal = posting.version, posting.refusal
        forgiven = refusal and refusal.number == wanted.number
        self._put(version=wanted, folder=folder, refusal=None if forgiven else refusal)
        self._attempts.forgive()
        self._intact, self._tidy = True, False
        extra = {"model": self.name, "version": wanted.number, "seconds": round(seconds, 2)}
        log.info("version posted", extra={**extra, "previous": old.number if old else None})
        self._tidy_up()

    def _tidy_up(self) -> None:
        """Until nothing is in the store that should not be: a worker may still answer with what has to go."""
        candidate = self._candidacy.version
        if candidate is not self._kept and not (candidate and candidate.has_files_of(self._kept)):
            self._kept, self._tidy = candidate, False
        used = [version for version in (self._posting.version, self._kept) if version is not None]
        if used and not self._tidy:
            self._tidy = not self._tools.store.keep(self.name, used)

    @property
    def _posting(self) -> Posting:
        return self._tools.board.posting(self.name)

    def _put(self, **changes: object) -> None:
        try:
            self._tools.board.change(self.name, partial(replace, **changes))
        except OSError as error:
            raise NotPosted(error.strerror or type(error).__name__) from error


def _missing(name: str, view: View) -> str:
    return f"no version of '{name}' is Production" if view.registered else f"the registry has no model '{name}'"
