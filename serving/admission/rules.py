"""What the operator lets versions be made of. Plain data: a worker hands it to the host that loads a version."""

from typing import Self

import msgspec

from serving.settings import Packages, Settings


class Rules(msgspec.Struct, frozen=True):
    code: bool = False
    """May a version bring code along: a pickle, a PythonModel, modules of its own?"""
    types: tuple[str, ...] = ()
    """What a skops file may hold beside the types in `skops_types.txt`."""
    packages: Packages = "compatible"

    @classmethod
    def set_by(cls, settings: Settings) -> Self:
        return cls(settings.allow_code, settings.skops_types, settings.packages)


STRICT = Rules()
"""What holds where nobody has said anything."""
