"""Spare the garbage collector what has come to stay.

It looks at everything that Python has made, more than 100,000 objects by then, and nothing is answered in the 50 to 100
ms that takes. Next to all of it are modules, which are there until the end.
"""

import asyncio
import gc

from serving.lineup import Lineup

LOOK_SECONDS = 0.5


async def settle(lineup: Lineup) -> None:
    """Once, as soon as every model answers: most of what is imported is imported for the first version."""
    gc.freeze()
    while lineup.why_not_ready() and not lineup.leaving:  # noqa: ASYNC110 - a lineup tells nobody; once a process
        await asyncio.sleep(LOOK_SECONDS)
    gc.collect()
    gc.freeze()
