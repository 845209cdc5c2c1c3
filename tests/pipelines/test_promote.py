"""Promotion on a real registry: the gate and its report, stage and alias in step, the history, the way back."""

import warnings
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from pipelines import keys, manifest, promote
from pipelines.errors import GateRefused, NoReport, UnknownVersion
from pipelines.promotion.decision import Options
from pipelines.promotion.report import Report
from pipelines.registry import Registry
from tests.pipelines.registered import (
    FULL,
    PARAMS,
    copy_of,
    move_stage,
    requiring,
    staged,
    state,
    to_production,
    withdraw,
)
from tests.servers import Stack
from tests.workspace import Workspace


def test_promotion_moves_stage_and_alias_together_and_archives_the_former(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    to_production(registry, "2")

    assert staged(registry, client) == ["2"]
    assert client.get_model_version_by_alias(registry.model, "production").version == "2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert registry.get("1").current_stage == "Archived"


def test_who_when_why_and_from_are_on_record(registry: Registry) -> None:
    to_production(registry, "1", why="the first")
    to_production(registry, "2", why="better")

    first, second = registry.history()

    assert (first.version, first.previous, first.why, first.how) == ("1", None, "the first", "promote")
    assert (second.version, second.previous, second.why) == ("2", "1", "better")
    assert second.who
    assert second.at_ms >= first.at_ms
    assert registry.get("2").tags["slipway.promoted.why"] == "better"


def test_a_refused_gate_names_the_check_and_changes_nothing(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "2")

    with pytest.raises(GateRefused) as refused:
        to_production(registry, "4")

    assert "version 4 stays out of Production: floor: f1_macro 0.5000, wanted at least 0.9" in str(refused.value)
    assert "no step back: f1_macro 0.5000, Production (version 2) has 0.9600" in str(refused.value)
    assert staged(registry, client) == ["2"]
    assert len(registry.history()) == 1


def test_a_version_registered_in_the_mlflow_ui_without_tags_is_compared_by_its_runs(registry: Registry) -> None:
    to_production(registry, "3")
    first = registry.get("1")
    untagged = registry.create(source=str(first.source), run_id=str(first.run_id), tags={}, description="")

    with pytest.raises(GateRefused, match=r"no step back: f1_macro 0\.9500, Production \(version 3\) has 0\.9700"):
        to_production(registry, untagged.version)


def test_a_version_whose_run_was_never_evaluated_is_refused(registry: Registry, client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        pass
    version = registry.create(source=str(registry.get("1").source), run_id=run.info.run_id, tags={}, description="")

    with pytest.raises(GateRefused, match="its run has no metric test_f1_macro"):
        to_production(registry, version.version)


def test_a_version_that_does_not_load_is_refused(registry: Registry, stack: Stack) -> None:
    model_id = str(registry.get("3").source).rpartition("/")[2]
    for file in (stack.folder / "s3/mlflow").rglob(f"*/{model_id}/artifacts/model.skops"):
        file.write_bytes(b"broken")

    with pytest.raises(GateRefused, match="answers its example"):
        to_production(registry, "3")


def test_rollback_restores_the_former_production_whatever_its_number(registry: Registry, client: MlflowClient) -> None:
    for version in ("3", "1", "2"):
        to_production(
            registry, version, PARAMS.model_copy(update={"evaluate": PARAMS.evaluate.model_copy(update={"margin": 1})})
        )

    promote.rollback(registry, why="it misbehaves")
    assert staged(registry, client) == ["1"]

    promote.rollback(registry, why="this one too")
    assert staged(registry, client) == ["3"]
    assert [line.how for line in registry.history()][-2:] == ["rollback", "rollback"]


def test_there_is_no_way_back_from_the_first(registry: Registry) -> None:
    to_production(registry, "1")

    with pytest.raises(UnknownVersion, match="no earlier Production"):
        promote.rollback(registry, why="")


def test_promoting_what_already_is_production_adds_no_line_but_puts_the_alias_right(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    client.delete_registered_model_alias(registry.model, "production")

    to_production(registry, "1")

    assert len(registry.history()) == 1
    assert client.get_model_version_by_alias(registry.model, "production").version == "1"


def test_the_command_promotes_shows_its_history_and_says_no_in_one_line(
    trained: Workspace, client: MlflowClient
) -> None:
    # Others share this registry and may have promoted the same version: what already is Production is not moved again.
    withdraw(client, "trained-once", "1")
    said = trained.run("pipelines.promote", "best", "--reason", "looks good")
    assert "│ floor               │ pass" in said
    assert "Production" in said.splitlines()[-1]

    assert "looks good" in trained.run("pipelines.promote", "history")

    refused = trained.run("pipelines.promote", "99", fails=True)
    assert refused.strip().splitlines()[-1] == "pipelines.promote: trained-once has no version 99 in the registry"
    assert "Traceback" not in refused


@pytest.fixture
def project(trained: Workspace, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Where the path has run: its DVC remote is the one in .dvc/config, its key the one that signed."""
    monkeypatch.chdir(trained.folder)
    for name, value in stack.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return trained


def with_key(project: Workspace, *, dry_run: bool = False) -> Options:
    return Options(dry_run=dry_run, key=keys.load(project.folder / ".slipway/keys/signing.pem"))


def reports_of(client: MlflowClient, registry: Registry, version: str) -> tuple[str, Report]:
    """The last one that is attached to the version: markdown, and what a program reads."""
    tag = registry.get(version).tags["slipway.report"]
    text, content = (
        Path(mlflow.artifacts.download_artifacts(address)).read_text()
        for address in (tag, f"{tag.removesuffix('.md')}.json")
    )
    return text, Report.model_validate_json(content)


def test_what_the_path_has_made_passes_every_check_and_carries_the_report(
    project: Workspace, client: MlflowClient, unique_name: str
) -> None:
    registry = copy_of(client, "trained-once", unique_name)

    promote.promote(registry, registry.get("1"), FULL, why="looks good", options=with_key(project))

    text, report = reports_of(client, registry, "1")
    assert [check.name for check in report.verdict.checks] == FULL.promote.require
    assert [check.name for check in report.verdict.checks if not check.passed] == []
    assert (report.outcome, report.why, report.current) == ("passed", "looks good", None)
    assert "| golden sample | pass | on 64 rows: the model answers the same" in text
    version = registry.get("1")
    assert "| golden sample | pass |" in str(version.description)
    assert version.tags["slipway.gate"] == "passed"
    assert staged(registry, client) == ["1"]


def test_the_report_is_no_file_of_the_version(project: Workspace, client: MlflowClient, unique_name: str) -> None:
    """Serving would refuse it for that."""
    registry = copy_of(client, "trained-once", unique_name)

    promote.promote(registry, registry.get("1"), FULL, why="", options=with_key(project))

    manifest.verify(registry.get("1"))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"git_commit": "unknown"}, "lineage: nothing usable in slipway.git.commit"),
        ({"git_dirty": "true", "git_patch": "attached"}, "lineage: trained with an uncommitted change, now gone"),
        ({"data_url": "s3://dvc/files/md5/00/00"}, "data pushed: s3://dvc/files/md5/00/00 is not there; `dvc push`"),
        ({"data_url": ""}, ""),  # the run of the version still knows
        ({"manifest": "0" * 64}, "manifest: slipway-manifest.json is not the one that the tag"),
        ({"manifest": ""}, "manifest: slipway-manifest.json is not the one that the tag"),
    ],
    ids=["commit", "patch", "data", "data-on-the-run", "manifest", "no-manifest"],
)
def test_what_the_registry_no_longer_says_is_named(
    project: Workspace, client: MlflowClient, unique_name: str, changed: dict[str, str], says: str
) -> None:
    registry = copy_of(client, "trained-once", unique_name, **changed)

    if not says:
        promote.promote(registry, registry.get("1"), FULL, why="", options=with_key(project))
        return
    with pytest.raises(GateRefused) as refused:
        promote.promote(registry, registry.get("1"), FULL, why="", options=with_key(project))

    assert says in str(refused.value)
    assert staged(registry, client) == []


def test_a_refused_attempt_leaves_its_report_and_no_line_in_the_history(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "2")

    with pytest.raises(GateRefused):
        to_production(registry, "4", why="hope")

    text, report = reports_of(client, registry, "4")
    assert report.outcome.startswith("refused: floor: f1_macro 0.5000")
    assert "| floor | FAIL | f1_macro 0.5000, wanted at least 0.9 |" in text
    assert registry.get("4").tags["slipway.gate"] == report.outcome
    assert "made by a test" in str(registry.get("4").description)
    assert "| no step back | FAIL |" in str(registry.get("4").description)
    assert [line.version for line in registry.history()] == ["2"]


def test_where_the_report_cannot_be_kept_nothing_is_moved(
    registry: Registry, client: MlflowClient, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # as the command has it, or nearly: 500 is asked again
    run = client.get_run(str(registry.get("1").run_id)).info
    in_the_way = stack.folder / "s3/mlflow" / run.experiment_id / run.run_id / "artifacts/promotion"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("a file, where a folder has to be")

    with pytest.raises(NoReport, match="the report of version 1 cannot be kept with its run"):
        to_production(registry, "1")

    assert staged(registry, client) == []


def test_a_plain_mlflow_version_fails_where_it_has_nothing_and_is_told_what_to_do(registry: Registry) -> None:
    with pytest.raises(GateRefused) as refused:
        to_production(registry, "1", FULL)

    said = str(refused.value)
    for name in ("lineage", "data pushed", "manifest", "golden sample", "latency"):
        assert f"{name}: " in said
    assert f"`python -m pipelines.manifest {registry.model} 1` writes it" in said
    assert f"`python -m pipelines.golden {registry.model} 1 --rows FILE.parquet` makes one" in said
    assert "promote.require" in said


def test_checks_that_params_do_not_require_are_shown_and_keep_nothing_out(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "4", requiring("answers its example"))

    text, _ = reports_of(client, registry, "4")
    assert "| floor | fail, not required | f1_macro 0.5000" in text
    assert staged(registry, client) == ["4"]


def a_wider_version(registry: Registry) -> str:
    """It wants one more column than the others."""
    rows = pd.DataFrame({"age": [0.0, 1.0], "height": [0.0, 1.0]})
    run_id = str(registry.get("3").run_id)
    with mlflow.start_run(run_id=run_id):
        info = mlflow.sklearn.log_model(
            LogisticRegression().fit(rows, [0, 1]),
            name="wider",
            signature=infer_signature(rows, [0, 1]),
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    return registry.create(source=info.model_uri, run_id=run_id, tags={}, description="").version


def test_a_version_that_breaks_callers_needs_a_word_from_a_person(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "3")
    wider = a_wider_version(registry)

    with pytest.raises(GateRefused, match="signature: callers of version 3 would break: column 'height' is new"):
        to_production(registry, wider)
    assert staged(registry, client) == ["3"]

    options = Options(allow_signature_change=True)
    promote.promote(registry, registry.get(wider), PARAMS, why="agreed", options=options)
    assert staged(registry, client) == [wider]


@pytest.mark.parametrize("version", ["3", "4"])
def test_a_dry_run_changes_nothing_whatever_it_finds(registry: Registry, client: MlflowClient, version: str) -> None:
    to_production(registry, "2")
    client.set_registered_model_alias(registry.model, "production", "1")  # unnoticed so far
    before = state(client, registry.model)

    try:
        promote.promote(registry, registry.get(version), PARAMS, why="", options=Options(dry_run=True))
        refused = False
    except GateRefused:
        refused = True

    assert refused is (version == "4")
    assert state(client, registry.model) == before


def test_the_command_shows_every_check_in_a_dry_run_and_writes_nothing(
    trained: Workspace, client: MlflowClient, unique_name: str
) -> None:
    registry = copy_of(client, "trained-once", unique_name)
    move_stage(client, unique_name, "1")  # history would put it on record
    before = state(client, unique_name)

    said = trained.run("pipelines.promote", "1", "--model", unique_name, "--dry-run")

    assert all(f"│ {name} " in said for name in FULL.promote.require)
    assert said.strip().splitlines()[-1].endswith("already is Production; nothing was changed")
    assert state(client, unique_name) == before
    assert registry.history() == []


def test_the_command_tells_what_was_production_at_a_time(
    trained: Workspace, client: MlflowClient, unique_name: str
) -> None:
    copy_of(client, "trained-once", unique_name)
    client.set_registered_model_alias(unique_name, "production", "1")

    listed = trained.run("pipelines.promote", "history", "--model", unique_name)
    now = trained.run("pipelines.promote", "history", "--model", unique_name, "--at", "2100-01-01T00:00")
    before = trained.run("pipelines.promote", "history", "--model", unique_name, "--at", "2001-01-01")

    assert "│ not later than 20" in listed
    assert "external" in listed
    assert (
        f"2100-01-01 00:00:00 UTC: Production of {unique_name} was version 1 (moved outside of Slipway between" in now
    )
    assert f"2001-01-01 00:00:00 UTC: Production of {unique_name} was none that is on record" in before


def test_rollback_comes_back_from_a_production_that_somebody_took_away(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "2")
    withdraw(client, registry.model, "2")
    registry.notice_external()

    promote.rollback(registry, why="it was fine")

    assert staged(registry, client) == ["2"]
    assert [(line.version, line.how) for line in registry.history()] == [
        ("2", "promote"),
        (None, "external"),
        ("2", "rollback"),
    ]
