"""`python -m tests.bench.scoring_rival MODEL IN OUT`: what people write to score a file: mlflow.pyfunc in a loop."""

import sys

import mlflow
import pandas as pd
import pyarrow as pa
from pyarrow import parquet as pq

CHUNK_ROWS = 65_536


def main() -> None:
    model, given, out = sys.argv[1:]
    loaded = mlflow.pyfunc.load_model(model, suppress_warnings=True)
    writer = None
    for batch in pq.ParquetFile(given).iter_batches(CHUNK_ROWS):
        table = batch.to_pandas()
        predictions = pd.DataFrame(loaded.predict(table.drop(columns="id"))).set_axis(["predictions"], axis=1)
        answers = pa.Table.from_pandas(table[["id"]].join(predictions), preserve_index=False)
        writer = writer or pq.ParquetWriter(out, answers.schema)
        writer.write_table(answers)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    main()
