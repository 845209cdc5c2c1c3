"""Stage `validate`: is the raw table what params.yaml says of it? A bad file stops here.

What it finds out about the columns is written as the schema that every later stage goes by.
"""

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from pipelines import data
from pipelines.cli import stage_params
from pipelines.data import About, Column, Schema
from pipelines.errors import BadData, run
from pipelines.progress import say
from pipelines.settings import ColumnRule, Validate

MISTAKES_SHOWN = 10
ROWS_A_CLASS = 5
"""Fewer cannot be split into training, validation and test rows."""
MOST_CATEGORIES = 100
"""A text column with more values than this, and mostly different ones, is an id or prose, not a category."""


def main() -> None:
    params = stage_params(__doc__).validate_
    about = About.model_validate_json(data.ABOUT.read_text())
    schema = examine(pd.read_parquet(data.RAW), about, params)
    data.write_json(data.SCHEMA, schema.model_dump(mode="json"))
    data.write_json(data.VALIDATED, params.model_dump(mode="json"))
    kinds = f"{len(schema.of_kind('number'))} number and {len(schema.of_kind('category'))} category columns"
    say(f"validate: {about.rows} rows pass; {kinds}; {schema.task} of {schema.target!r}")


def examine(frame: pd.DataFrame, about: About, params: Validate) -> Schema:
    """The schema of `frame`; BadData names file, column, row and rule of what does not hold."""
    _check_names(frame, about, params)
    names = [str(name) for name in frame.columns if name != params.target and name not in params.drop]
    if not names:
        raise BadData(f"{about.source}: there is no column to learn from beside {params.target!r}")
    _check_single(frame[[*names, params.target]], about)
    kinds = {name: _kind(frame[name], params.columns.get(name, ColumnRule())) for name in names}
    _check_values(frame, about, params, kinds)
    for name in (name for name, kind in kinds.items() if kind == "category"):
        _check_category(frame[name], about)
    return Schema(
        task=params.task,
        target=params.target,
        columns=[Column(name=name, kind=kinds[name]) for name in names],
        classes=_classes(frame[params.target], about) if params.task == "classification" else None,
        image_shape=about.image_shape,
    )


def _check_names(frame: pd.DataFrame, about: About, params: Validate) -> None:
    for where, name in (
        ("target", params.target),
        *(("drop", name) for name in params.drop),
        *(("columns", name) for name in params.columns),
    ):
        if name not in frame.columns:
            has = ", ".join(about.columns[:12]) + (", …" if len(about.columns) > 12 else "")
            raise BadData(
                f"{about.source}: no column {name!r}, which params.yaml names in validate.{where}; it has {has}"
            )
    if len(frame) < params.min_rows:
        raise BadData(f"{about.source}: {len(frame)} rows, and validate.min_rows is {params.min_rows}")


def _check_single(frame: pd.DataFrame, about: About) -> None:
    """Parquet may hold lists and records in a cell; no model here learns from those."""
    for name, values in frame.items():
        if values.dtype != object:
            continue
        nested = ~values.map(pd.api.types.is_scalar)
        if nested.any():
            row = int(nested.to_numpy().argmax())
            raise BadData(f"{about.source}: column {name!r}, row {row + 1}: {values.iloc[row]!r} is not a single value")


def _kind(values: pd.Series, rule: ColumnRule) -> str:
    if rule.kind:
        return rule.kind
    if pd.api.types.is_numeric_dtype(values):  # booleans too: they are learnt from as 0 and 1
        return "number"
    present = values.dropna().astype(str)
    numeric = pd.to_numeric(present, errors="coerce").notna()
    # Mostly numbers: a number column in which some rows are wrong, and those rows deserve to be named.
    return "number" if len(present) and numeric.mean() > 0.5 else "category"


def _check_values(frame: pd.DataFrame, about: About, params: Validate, kinds: dict[str, str]) -> None:
    columns = {name: _column(params.columns.get(name, ColumnRule()), kind) for name, kind in kinds.items()}
    told = params.columns.get(params.target, ColumnRule())
    target = told.model_copy(
        update={"nullable": False, "kind": "number" if params.task == "regression" else "category"}
    )
    columns[params.target] = _column(target, target.kind or "category")
    try:
        pa.DataFrameSchema(columns).validate(frame, lazy=True)
    except SchemaErrors as found:
        raise BadData(_sentences(found.failure_cases, about)) from found


def _column(rule: ColumnRule, kind: str) -> pa.Column:
    checks = []
    if kind == "number":
        checks.append(pa.Check(_is_number, error="is not a finite number"))
        if rule.min is not None:
            checks.append(pa.Check(lambda values: ~(_number(values) < rule.min), error=f"is below min {rule.min:g}"))
        if rule.max is not None:
            checks.append(pa.Check(lambda values: ~(_number(values) > rule.max), error=f"is above max {rule.max:g}"))
    if rule.allowed is not None:
        allowed = rule.allowed
        checks.append(pa.Check(lambda values: data.as_text(values).isin(allowed), error=f"is not one of {allowed}"))
    return pa.Column(None, checks, nullable=rule.nullable)


def _number(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce")


def _is_number(values: pd.Series) -> pd.Series:
    return values.isna() | _number(values).abs().lt(float("inf"))


def _sentences(failures: pd.DataFrame, about: About) -> str:
    lines = []
    for failure in failures.head(MISTAKES_SHOWN).itertuples():
        rule = "is missing" if str(failure.check) == "not_nullable" else f"{failure.failure_case!r} {failure.check}"
        # No row: the check itself failed, on a value that it could not even compare.
        index = str(failure.index)
        row = f", row {int(index) + 1}" if index.isdecimal() else ""
        lines.append(f"{about.source}: column {failure.column!r}{row}: {rule}")
    if len(failures) > MISTAKES_SHOWN:
        lines.append(f"… and {len(failures) - MISTAKES_SHOWN} more")
    told = "1 value breaks" if len(failures) == 1 else f"{len(failures)} values break"
    return "\n  ".join([f"{told} a rule (row 1 is the first below the header)", *lines])


def _check_category(values: pd.Series, about: About) -> None:
    different = values.nunique()
    if different > MOST_CATEGORIES and different > len(values) / 2:
        raise BadData(
            f"{about.source}: column {values.name!r} has {different} different texts in {len(values)} rows; "
            "that is an id or prose, not a category: name it in validate.drop"
        )


def _classes(target: pd.Series, about: About) -> list[str | int]:
    """Sorted class labels: integers where the target holds whole numbers of 64 bits, else texts."""
    numeric = pd.api.types.is_numeric_dtype(target) and bool((target % 1 == 0).all())
    whole = numeric and int(target.abs().max()) < 2**63
    counts = (target if whole else data.as_text(target)).value_counts()
    if len(counts) < 2:
        raise BadData(f"{about.source}: column {target.name!r} holds {len(counts)} class; classification needs two")
    labels: list[str | int] = [int(value) if whole else value for value in sorted(counts.index)]
    if len(labels) > len(target) / ROWS_A_CLASS:
        raise BadData(f"{about.source}: column {target.name!r} has {len(labels)} classes; is the task a regression?")
    rarest, rows = counts.index[-1], int(counts.iloc[-1])
    if rows < ROWS_A_CLASS:
        raise BadData(
            f"{about.source}: class {rarest!r} of column {target.name!r} has {rows} rows, fewer than {ROWS_A_CLASS}"
        )
    return labels


if __name__ == "__main__":
    run(main)
