"""Make a version, or a run, again from git and DVC, and say whether it is the same.

python -m pipelines.reproduce VERSION|RUN [--model NAME] [--json FILE] [--keep] [--here]

A git worktree at its commit with its uncommitted change, its raw data from DVC's remote, its locked environment and its
parameters; then the same stages against an MLflow of their own. Nothing here or in the registry is changed. Exit code 0
only when everything that was compared is equal.
"""

import argparse
import hashlib
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from rich.table import Table

from pipelines import data, environment, golden, tracking
from pipelines.errors import Differs, NoGolden, run
from pipelines.inputs import Inputs
from pipelines.lineage import LOCK
from pipelines.progress import say, show
from pipelines.reproduction import comparison, rawdata, recorded, worktree
from pipelines.reproduction.comparison import Answers, Row, Verdict, identity
from pipelines.reproduction.recorded import Recorded
from pipelines.reproduction.rerun import STAGES, Again, Workplace
from pipelines.settings import load_params, load_settings


def main() -> None:
    words = _words()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))  # so that the worktree is removed then too
    settings = load_settings()
    tracking.reach(settings)
    tracking.expect_answer(settings.mlflow_tracking_uri)
    client = MlflowClient()
    original = recorded.find(client, words.model or load_params().register_.model, words.what)
    say(f"reproduce: {original.name} is {original.candidate} of run {original.run.info.run_id}")
    with _scratch(keep=words.keep) as folder:
        verdict = reproduce(client, original, folder, keep=words.keep, here=words.here)
    if words.json:
        data.write_json(words.json, verdict.model_dump(mode="json"))
    show(_table(verdict))
    for note in verdict.notes:
        show(f"note: {note}")
    if not verdict.reproduced:
        raise Differs(f"{original.name} is not reproduced: {verdict.refusal}")
    show(f"{original.name} is reproduced: {len(verdict.rows)} of {len(verdict.rows)} equal")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", metavar="VERSION|RUN", help="a version's number, or the id of a run")
    parser.add_argument("--model", help="registered name, where it is not params.yaml's register.model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdict there too")
    parser.add_argument("--keep", action="store_true", help="leave the worktree, and say where it is")
    parser.add_argument("--here", action="store_true", help="use this environment even if it is not the locked one")
    return parser.parse_args()


def reproduce(client: MlflowClient, original: Recorded, folder: Path, *, keep: bool, here: bool) -> Verdict:
    """Everything happens in `folder`. Nothing is trained when the code or the data is not what it was."""
    commit, kept = original.tags["slipway.git.commit"], folder / "original"
    tracking.fetch(recorded.logged_model(client, original), kept)  # before anything that takes minutes
    with worktree.checked_out(commit, original.patch, folder / "worktree", keep=keep) as project:
        say(f"reproduce: {commit[:12]} {'with its uncommitted change ' if original.patch else ''}in {project}")
        rows = [*_code(original, project), *rawdata.bring(original.inputs.raw, project)]
        notes = rawdata.notes(original.inputs.raw)
        if not all(row.equal for row in rows):
            return Verdict(of=original.name, rows=rows, notes=notes, not_tried=list(STAGES))
        place = Workplace(project, _interpreter(original, project, folder, here=here), folder)
        again = place.train(original.inputs.params)
        rows += [*_origin(original, again), *_outcome(original, again)]
        rows += _predictions(original, kept, place)
    return Verdict(of=original.name, rows=rows, notes=notes, not_tried=[])


def _code(original: Recorded, project: Path) -> list[Row]:
    lock = hashlib.sha256((project / LOCK).read_bytes()).hexdigest()
    files = "files, with the uncommitted change" if original.patch else "files"
    return [
        identity("commit", original.tags["slipway.git.commit"], worktree.head(project)),
        identity(files, original.tags.get("slipway.git.tree", ""), worktree.tree(project)),
        identity("lock", original.tags.get("slipway.lock.sha256", ""), lock),
    ]


def _interpreter(original: Recorded, project: Path, folder: Path, *, here: bool) -> Path:
    """This one, when it has what the run had; else one that is made from the lock."""
    wanted, apart = original.inputs, environment.apart((project / LOCK).read_text())
    if apart == wanted.apart and environment.minor(wanted.python) == environment.minor(platform.python_version()):
        return Path(sys.executable)
    said = "; ".join(apart[:3]) + (f" and {len(apart) - 3} more" if len(apart) > 3 else "")
    say(f"reproduce: this environment is not the run's: {said or f'its Python was {wanted.python}'}")
    if here:
        return Path(sys.executable)
    return environment.build(project / LOCK, wanted.python, folder / "environment")


def _origin(original: Recorded, again: Again) -> list[Row]:
    ours, theirs = original.inputs, again.inputs
    prepared = {name: found.md5 for name, found in theirs.prepared.items()}
    rows = [
        _python(ours, theirs),
        identity("packages", _apart(ours.apart), _apart(theirs.apart)),
        comparison.values("params", ours.params, theirs.params),
        *(identity(name, was.md5, prepared.get(name, "-")) for name, was in ours.prepared.items()),
    ]
    measured = original.tags.get("slipway.test.md5")
    return [*rows, identity(data.TEST.as_posix(), measured, again.test_md5)] if measured else rows


def _python(ours: Inputs, theirs: Inputs) -> Row:
    """Its patches, and the machine, are told and do not count."""
    equal = environment.minor(ours.python) == environment.minor(theirs.python)
    before, after = (f"{each.python}, {each.machine}" for each in (ours, theirs))
    return Row(
        name="Python", recorded=before, reproduced=after, equal=equal, how="equal" if equal else "another minor version"
    )


def _outcome(original: Recorded, again: Again) -> list[Row]:
    return comparison.metrics(original.metrics, again.metrics.get(original.candidate, {}))


def _predictions(original: Recorded, kept: Path, place: Workplace) -> list[Row]:
    """On the golden sample of the version; where it keeps none, both models are asked about the test rows."""
    made = place.model(original.candidate)
    try:
        sample = golden.read(kept)
    except NoGolden as reason:
        say(f"reproduce: {original.name}: {reason}; both models are asked about the test rows instead")
        schema = data.load_schema(place.project / data.SCHEMA)
        features = pd.read_parquet(place.project / data.TEST)[schema.names]
        return comparison.answers(f"{len(features)} test rows", *place.ask([kept, made], features))
    before = Answers(sample.predictions, sample.probabilities)
    return comparison.answers(f"{len(before.predictions)} golden rows", before, *place.ask([made], sample.features))


def _apart(packages: list[str]) -> str:
    return "as locked" if not packages else "; ".join(packages)


@contextmanager
def _scratch(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="slipway-reproduce-"))
    try:
        yield folder
    finally:
        if not keep or not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _table(verdict: Verdict) -> Table:
    table = Table(title=f"{verdict.of}, made again", title_justify="left")
    for column in ("", "recorded", "reproduced", "verdict"):
        table.add_column(column, overflow="fold")
    for row in verdict.rows:
        table.add_row(row.name, _short(row.recorded), _short(row.reproduced), row.how)
    for stage in verdict.not_tried:
        table.add_row(stage, "", "", "not tried")
    return table


def _short(text: str) -> str:
    """Long hashes by their beginning; the JSON has them whole."""
    return f"{text[:12]}…" if len(text) >= 32 and " " not in text else text


if __name__ == "__main__":
    run(main)
