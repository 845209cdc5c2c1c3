"""Ask models for their answers to the rows of a file: python -P asked.py ROWS.parquet MODEL_FOLDER ANSWERS.npz ...

A program of its own that knows nothing of this project, so that the interpreter of any environment can run it: a model
answers as it did only with the libraries that it was made with.
"""

import sys

import mlflow
import numpy as np
import pandas as pd


def main(rows: str, *pairs: str) -> None:
    features = pd.read_parquet(rows)
    for folder, answers in zip(pairs[::2], pairs[1::2], strict=True):
        model = mlflow.sklearn.load_model(folder)
        found = {"predictions": _plain(model.predict(features))}
        if hasattr(model, "predict_proba"):
            found["probabilities"] = model.predict_proba(features)
        np.savez(answers, **found)  # type: ignore[arg-type]  # numpy types every name as its flag


def _plain(values: np.ndarray) -> np.ndarray:
    """Texts as texts of one width: objects would have to be pickled."""
    return values.astype(str) if values.dtype == object else values


if __name__ == "__main__":
    main(*sys.argv[1:])
