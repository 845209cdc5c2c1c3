"""Read the settings from the environment, with a line for each that is wrong."""

import os
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from serving.settings.whole import PREFIX, Settings

NEARLY = 0.85
"""How alike two names are of which one is a slip: difflib's ratio."""
_REASONS = {
    "missing": "not set",
    "int_parsing": "not a whole number",
    "float_parsing": "not a number",
    "bool_parsing": "neither true nor false",
}


class SettingsInvalid(Exception):
    """`lines`: one per setting, each naming it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def env_names() -> frozenset[str]:
    """Every environment name this room reads."""
    groups = _groups()
    plain = {_env_name(field) for field in Settings.model_fields if field not in groups}
    return frozenset(plain | {_env_name(name, field) for name, each in groups.items() for field in each.model_fields})


def _groups() -> dict[str, type[BaseModel]]:
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def read(models: tuple[str, ...] = ()) -> Settings:
    """Settings from the environment, but for `models`, for a command that is told them.

    SettingsInvalid has a line for each one that is missing or wrong.
    """
    misspelt = [f"{name}: {_unknown(name)}" for name in sorted(os.environ) if _meant(name) and _outside_groups(name)]
    try:
        found = Settings(models=models) if models else Settings()
    except SettingsError as error:  # the name of a group, which is read as JSON
        wrong = [_group(name) for name in _groups() if f'"{name}"' in str(error)]
        raise SettingsInvalid((wrong or [str(error)]) + misspelt) from error
    except ValidationError as error:
        wrong = [_line(problem["loc"], problem["msg"], problem["type"]) for problem in error.errors()]
        raise SettingsInvalid(wrong + misspelt) from error
    if misspelt:
        raise SettingsInvalid(misspelt)
    return found


def _outside_groups(name: str) -> bool:
    """Of others Pydantic itself says that they are unknown."""
    return not any(name.startswith(f"{_env_name(group)}__") for group in _groups())


def _meant(name: str) -> str | None:
    """The setting that `name` is nearly; None for one that it is, and for what is somebody else's.

    Kubernetes gives a pod names of its own for a service of this name, SERVING_SERVICE_HOST among them.
    """
    if not name.startswith(PREFIX) or name in env_names():
        return None
    return next(iter(get_close_matches(name, env_names(), 1, NEARLY)), None)


def _unknown(name: str) -> str:
    meant = _meant(name)
    return "there is no such setting" + (f"; did you mean {meant}?" if meant else "")


def _group(name: str) -> str:
    return (
        f"{_env_name(name)}: stands for many settings and is none; set {_env_name(name)}__..., as .env.example has them"
    )


def _line(where: tuple[int | str, ...], message: str, kind: str) -> str:
    if kind == "model_type" and len(where) == 1:
        return _group(str(where[0]))
    if kind == "extra_forbidden":
        name = _env_name(*map(str, where))
        return f"{name}: {_unknown(name)}"
    reason = _REASONS.get(kind) or message.removeprefix("Value error, ")
    whole = not where or where in {(name,) for name in _groups()}  # a rule about several names, which says which
    return reason if whole else f"{_env_name(*map(str, where))}: {reason}"


def _env_name(field: str, *below: str) -> str:
    """Pydantic names a wrong setting by its alias when it has one, else by its field."""
    known = Settings.model_fields.get(field)
    if known is None:
        return field
    return str(known.validation_alias) if known.validation_alias else PREFIX + "__".join((field, *below)).upper()
