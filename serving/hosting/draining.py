"""Let a version that was swapped out finish what it was asked, and nothing that hangs in it keep its host for ever."""

import threading
import weakref

from serving.hosting.hosted import HostedModel
from serving.protocol import Model


def drain(model: Model, seconds: float) -> None:
    """From now on none of its calls may take longer than that.

    Not the version's own end: a stream that began with it may go on for hours, one short call after the other. When the
    last one lets go of it, its host ends by itself.
    """
    if isinstance(model, HostedModel):
        _look_later(weakref.ref(model), seconds, seconds)


def _look_later(model: "weakref.ref[HostedModel]", seconds: float, wait: float) -> None:
    timer = threading.Timer(wait, _look, [model, seconds])
    timer.daemon = True
    timer.start()


def _look(model: "weakref.ref[HostedModel]", seconds: float) -> None:
    draining = model()
    if draining is not None:
        wait = draining.end_late_calls(seconds)
        del draining  # not held while nobody looks
        _look_later(model, seconds, wait)
