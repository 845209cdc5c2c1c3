"""What a store must hold to be served with no registry. Asked once, before anything is started."""

from pathlib import Path

from serving.store import posted


def lacking(store: Path, names: tuple[str, ...]) -> list[str]:
    """A line for each model that `store` has no version of; none when all can be served."""
    try:
        there = {each.name for each in posted.read(store) if each.version and (store / each.folder).is_dir()}
    except (OSError, ValueError) as error:
        said = f"{store}: {error.strerror}" if isinstance(error, OSError) else str(error)
        return [f"SERVING_STORE: {said}; `python -m serving.bake FOLDER` makes a store to serve offline from"]
    return [
        f"SERVING_STORE: {store} has no version of '{name}', and SERVING_OFFLINE=true asks no registry for one; "
        "`python -m serving.bake FOLDER` makes a store that has it"
        for name in names
        if name not in there
    ]
