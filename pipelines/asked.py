"""Ask a model for its answers to the rows of a Parquet file: python -P asked.py MODEL_FOLDER ROWS.parquet ANSWERS.npz

A program of its own that knows nothing of this project, so that the interpreter of any environment can run it: a model
answers as it did only with the libraries that it was made with.
"""

import sys

import mlflow
import numpy as np
import pandas as pd


def main(folder: str, rows: str, answers: str) -> None:
    model, features = mlflow.sklearn.load_model(folder), pd.read_parquet(rows)
    found = {"predictions": _plain(model.predict(features))}
    if hasattr(model, "predict_proba"):
        found["probabilities"] = model.predict_proba(features)
    np.savez(answers, **found)


def _plain(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]  # of any kind
    """Texts as texts of one width: objects would have to be pickled."""
    return values.astype(str) if values.dtype == object else values


if __name__ == "__main__":
    main(*sys.argv[1:])
