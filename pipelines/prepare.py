"""Stage `prepare`: the raw table becomes typed training and test rows.

Only types and rows are decided here; imputing, scaling and encoding travel inside each model.
"""

import pandas as pd

from pipelines import data
from pipelines.cli import stage_params
from pipelines.errors import run
from pipelines.progress import say


def main() -> None:
    params = stage_params(__doc__).prepare
    schema = data.load_schema()
    frame = data.typed(pd.read_parquet(data.RAW), schema)
    by_class = schema.target if schema.classes else None
    train, test = data.split(frame, share=params.test_share, seed=params.seed, by_class=by_class)
    train.to_parquet(data.TRAIN, index=False)
    test.to_parquet(data.TEST, index=False)
    data.write_json(data.PREPARED, params.model_dump(mode="json"))
    say(f"prepare: {len(train)} training and {len(test)} test rows")


if __name__ == "__main__":
    run(main)
