"""Print where a version came from, and who else saw its data. The command of `pipelines.lineage`.

A link that is on record may lead nowhere by now: each is looked up and its end is told.
"""

import argparse
import hashlib
from collections.abc import Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from rich.tree import Tree

from pipelines import environment, inputs, tracking
from pipelines.errors import NotReproducible
from pipelines.inputs import Inputs
from pipelines.lineage import LOCK
from pipelines.progress import LINE, moment, show
from pipelines.registry import Registry
from pipelines.reproduction import objects, recorded, seen, worktree
from pipelines.settings import load_params, load_settings


def main(description: str | None) -> None:
    words = _words(description)
    settings = load_settings()
    tracking.reach(settings)
    tracking.expect_answer(settings.mlflow_tracking_uri)
    client = MlflowClient()
    if words.data:
        show(seen.by(client, words.data.strip().lower()))
    else:
        show(_chain(client, words.model or load_params().register_.model, words.what), width=LINE)


def _words(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("what", nargs="?", metavar="VERSION|RUN", help="a version's number, or the id of a run")
    which.add_argument("--data", metavar="MD5", help="the md5 of a raw data file, as slipway.data.md5 has it")
    parser.add_argument("--model", help="registered name, where it is not params.yaml's register.model")
    return parser.parse_args()


def _chain(client: MlflowClient, model: str, what: str) -> Tree:
    """version → run → commit → data → environment, each inside the one that leads to it."""
    version, run = recorded.look_up(client, model, what)
    tags = (version.tags if version else {}) | (run.data.tags if run else {})
    kept = recorded.artifacts(client, tags.get(recorded.PARENT, run.info.run_id)) if run else {}
    made = inputs.read(kept[inputs.FILE]) if inputs.FILE in kept else None
    root = branch = Tree(_version(client, version) if version else f"not registered as {model}")
    for link in (_run(run), _commit(tags, kept), _data(tags, made), _environment(tags, made)):
        branch = branch.add(link)
    return root


def _version(client: MlflowClient, version: ModelVersion) -> str:
    registry = Registry(client, version.name)
    serving = registry.production()
    lines = [f"version  {version.name} {version.version}", _page(f"models/{version.name}/versions/{version.version}")]
    if serving is not None and serving.version == version.version:
        lines[0] += ", which is Production"
    lines += [
        f"{'promoted' if line.how == 'promote' else line.how} {moment(line.at_ms)} by {line.who}"
        + (f": {line.why}" if line.why else "")
        for line in registry.history()
        if line.version == version.version
    ]
    return "\n".join(lines)


def _run(run: Run | None) -> str:
    if run is None:
        return "run  lost: MLflow has it no more"
    info, tags = run.info, run.data.tags
    gone = ", deleted in MLflow" if info.lifecycle_stage != "active" else ""
    return "\n".join(
        [
            f"run  {info.run_id} ({tags.get(recorded.CANDIDATE, info.run_name)}), {moment(info.start_time)}{gone}",
            _page(f"experiments/{info.experiment_id}/runs/{info.run_id}"),
        ]
    )


def _commit(tags: Mapping[str, str], kept: Mapping[str, bytes]) -> str:
    commit = tags.get("slipway.git.commit", "unknown")
    if commit == "unknown":
        return "commit  not on record"
    lines = [f"commit  {commit}, {'in this clone' if worktree.has(commit) else 'not in this clone: `git fetch --all`'}"]
    if tags.get("slipway.git.dirty") == "true":
        patch = kept.get(recorded.PATCH)
        said = f"{len(patch):,} bytes, kept with the run" if patch else tags.get("slipway.git.patch", "not kept")
        lines.append(f"and an uncommitted change: {said}")
    return "\n".join(lines)


def _data(tags: Mapping[str, str], made: Inputs | None) -> str:
    md5 = tags.get(seen.DATA)
    if md5 is None:
        return "data  not on record"
    source = f", from {made.params['ingest']['source']}" if made else ""
    try:
        there = "on the remote" if objects.remote().has(md5) else "not on the remote: `dvc push` where it was made"
    except NotReproducible as reason:
        there = str(reason)
    here = f"{'' if objects.cached(md5) else 'not '}in this checkout's cache"
    return "\n".join(filter(None, [f"data  {md5}{source}", tags.get("slipway.data.url"), f"{there}; {here}"]))


def _environment(tags: Mapping[str, str], made: Inputs | None) -> str:
    wanted = tags.get("slipway.lock.sha256")
    if wanted is None:
        return "environment  not on record"
    lines = [f"environment  {LOCK.as_posix()}, sha256 {wanted}"]
    if made:
        lines.append(f"Python {made.python} on {made.machine}" + "".join(f"; {each}" for each in made.apart[:3]))
    lock = worktree.file_at(tags.get("slipway.git.commit", "unknown"), LOCK)
    if lock is None or hashlib.sha256(lock).hexdigest() != wanted:
        lines.append("this clone has no commit with that lock" if lock is None else "the uncommitted change changes it")
    else:
        apart = environment.apart(lock.decode())
        lines.append(f"this environment differs: {apart[0]}" if apart else "this environment has all that it pins")
    return "\n".join(lines)


def _page(path: str) -> str:
    return f"{mlflow.get_tracking_uri().rstrip('/')}/#/{path}"
