"""Try a version's files as serving will use them: manifest, own example, golden sample, and how long a row takes.

Only `inspection.py` calls it. Files that are not those of their manifest are not opened.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mlflow.entities.model_registry import ModelVersion
from mlflow.pyfunc import PyFuncModel
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # none are published

from pipelines import gate, golden, manifest, twin
from pipelines.errors import NoGolden, NoTwin
from pipelines.export import parity
from pipelines.export.graphs import Runner
from pipelines.gate import Check, Latency
from pipelines.golden import Golden
from pipelines.settings import CheckName

WARM_CALLS, CALLS = 20, 200
MOST_SECONDS = 5.0
"""A slow model is measured on fewer calls."""
NEEDING_FILES: tuple[CheckName, ...] = ("answers its example", "golden sample", "latency")


@dataclass(frozen=True)
class Loaded:
    """A version ready to be asked, and what of it may be missing. Its twin answers in its place where it has one."""

    model: PyFuncModel
    twin: Runner | None
    sample: Golden | None
    no_sample: str


def rehearse(folder: Path, version: ModelVersion, key: Ed25519PrivateKey | None, *, latency_ms: float) -> list[Check]:
    """The checks of the version's files in `folder`."""
    vouched = manifest.vouched(folder, version, key)
    checks = [Check(name="manifest", passed=vouched.passed, detail=vouched.detail)]
    if vouched.altered:
        return checks + not_tried("its files are not those of its manifest")
    try:
        loaded = _load(folder)
    except Exception as cause:  # noqa: BLE001 - whatever it fails with, it is not fit to be served
        first, *others = NEEDING_FILES
        failed = Check(name=first, passed=False, detail=f"it does not load: {_line(cause)}")
        return [*checks, failed, *not_tried("it does not load", others)]
    return [*checks, _example(loaded), _golden(loaded, version), _latency(loaded, latency_ms)]


def not_tried(why: str, names: tuple[CheckName, ...] | list[CheckName] = NEEDING_FILES) -> list[Check]:
    return [Check(name=name, passed=False, detail=f"not tried, for {why}") for name in names]


def _load(folder: Path) -> Loaded:
    model = mlflow.pyfunc.load_model(str(folder))
    try:
        sample, no_sample = golden.read(folder), ""
    except NoGolden as reason:
        return Loaded(model, twin.read(folder), None, str(reason))
    return Loaded(model, twin.read(folder), sample, no_sample)


def _example(loaded: Loaded) -> Check:
    name: CheckName = "answers its example"
    try:
        example: Any = loaded.model.input_example
        if example is None:
            return Check(name=name, passed=True, detail="it loads; it has no example to try")
        answer = loaded.model.predict(example)
    except Exception as cause:  # noqa: BLE001 - a model fails in its own way
        return Check(name=name, passed=False, detail=_line(cause))
    return Check(name=name, passed=True, detail=f"{len(answer)} rows")


def _golden(loaded: Loaded, version: ModelVersion) -> Check:
    name: CheckName = "golden sample"
    sample = loaded.sample
    if sample is None:
        again = f"`python -m pipelines.golden {version.name} {version.version} --rows FILE.parquet`"
        return Check(name=name, passed=False, detail=f"{loaded.no_sample}; {again} makes one")
    asked: dict[str, Callable[[], Any]] = {"the model": lambda: golden.asked(loaded.model, sample.features)}
    if loaded.twin is not None:
        running = loaded.twin
        asked["its ONNX twin"] = lambda: running.ask(sample.features)
    tolerances = {"the model": gate.GOLDEN_TOLERANCE, "its ONNX twin": parity.TOLERANCE}
    found = {}
    for who, ask in asked.items():
        try:
            found[who] = _apart(sample, ask())
        except Exception as cause:  # noqa: BLE001 - a model fails in its own way
            return Check(name=name, passed=False, detail=f"{who} fails on the sample: {_line(cause)}")
    return gate.golden(found, tolerances, rows=len(sample.features))


def _apart(sample: Golden, said: dict[str, Any]) -> float:
    """Infinite where it no longer has probabilities, too."""
    return parity.difference(sample.answers, said) if sample.answers.keys() <= said.keys() else np.inf


def _latency(loaded: Loaded, budget_ms: float) -> Check:
    """Through what would serve. A twin gets arrays, as serving gives it; a model a table."""
    name: CheckName = "latency"
    try:
        row = _one_row(loaded)
        if row is None:
            return Check(
                name=name, passed=False, detail="it has neither a golden sample nor an example to take a row of"
            )
        if loaded.twin is None:
            through, ask = "the model", lambda: loaded.model.predict(row)
        else:
            running, fed = loaded.twin, loaded.twin.fed(row)
            through, ask = "its ONNX twin", lambda: running.run(fed)
        with threadpool_limits(1):  # as serving computes
            found = timed(ask, time.perf_counter)
    except Exception as cause:  # noqa: BLE001 - a model fails in its own way
        return Check(name=name, passed=False, detail=f"it fails on one row: {_line(cause)}")
    where = f"{through} on this machine ({platform.node()}, {os.cpu_count()} cores)"
    return gate.latency(found, budget_ms, through=where)


def _one_row(loaded: Loaded) -> Any | None:
    if loaded.sample is not None:
        return loaded.sample.features.head(1)
    example: Any = loaded.model.input_example
    return None if example is None else example[:1]


def timed(ask: Callable[[], object], clock: Callable[[], float]) -> Latency:
    """Of `CALLS` calls after a few that warm it up, or of as many as MOST_SECONDS allow; `clock` counts seconds."""
    end, took = clock() + MOST_SECONDS, []
    for call in range(WARM_CALLS + CALLS):
        started = clock()
        ask()
        now = clock()
        if call >= WARM_CALLS or now >= end:
            took.append((now - started) * 1000)
        if now >= end:
            break
    p99 = np.quantile(took, 0.99, method="higher")
    return Latency(median_ms=float(np.median(took)), p99_ms=float(p99), calls=len(took))


def _line(cause: Exception) -> str:
    text = str(cause) if isinstance(cause, NoTwin) else f"{type(cause).__name__}: {cause}"
    return " ".join(text.split())[:200]
