"""Wait until started programs answer, telling each arrival; notice when one dies instead."""

import time
from collections.abc import Sequence

from rich.console import Console

from infra.local import buckets, control
from infra.local.errors import StackError
from infra.local.patience import until
from infra.local.programs import Program, last_words, size
from infra.local.settings import Settings

START_SECONDS = 120
"""MLflow alone takes 5 s on a quiet machine, the first time and on a busy one a minute."""


class Arrivals:
    """Made before the programs are started, so that what their logs held already is not taken for news."""

    def __init__(self, settings: Settings, programs: Sequence[Program], console: Console) -> None:
        self._settings = settings
        self._console = console
        self._coming = list(programs)
        self._began = time.monotonic()
        self._logged = {program.name: size(settings.log(program.name)) for program in programs}

    def wait(self) -> None:
        """StackError when a program dies or does not answer in time; it quotes the program's log."""
        with self._console.status("") as status:
            while self._coming:
                status.update(f"waiting for {', '.join(program.name for program in self._coming)}")
                if not until(self._news, seconds=START_SECONDS):
                    raise self._failure(self._coming[0], f"does not answer after {START_SECONDS} s")

    def _news(self) -> bool:
        arrived = [program for program in self._coming if program.answers(self._settings)]
        for program in arrived:
            if program.name == "s3":
                buckets.ensure(self._settings)
            self._coming.remove(program)
            seconds = time.monotonic() - self._began
            self._console.print(f"{program.name:8} answers on {program.url(self._settings)} ({seconds:.1f} s)")
        self._expect_alive()
        return bool(arrived)

    def _expect_alive(self) -> None:
        states = control.processes(self._settings)
        for program in self._coming:
            if states[program.name]["statename"] not in ("STARTING", "RUNNING"):
                raise self._failure(program, "does not start")

    def _failure(self, program: Program, what: str) -> StackError:
        log = self._settings.log(program.name)
        words = last_words(log, since=self._logged[program.name])
        return StackError(f"{program.name} {what}: {words or 'it said nothing'} (log: {log})")
