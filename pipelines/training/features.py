"""Pre-processing that travels inside the model: stock scikit-learn, so that no `pipelines` is needed to load it."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.data import Schema

MISSING = "(missing)"
"""A missing category is a category of its own: that it is missing often says something."""
MOST_CATEGORIES = 100
"""The rarest share a column beyond this, so that a column of many texts does not fill the memory."""


def preprocessor(schema: Schema) -> ColumnTransformer:
    """Unfitted; takes the schema's columns, gives a dense float64 table, numbers first.

    An unknown category becomes zeros, a missing number the training median.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = make_pipeline(
        # Twice, because a gap is NaN in what CSV and Parquet give and None in what JSON gives; in this order, because
        # looking for None refuses tables with NaN.
        SimpleImputer(missing_values=np.nan, strategy="constant", fill_value=MISSING, keep_empty_features=True),
        SimpleImputer(missing_values=None, strategy="constant", fill_value=MISSING, keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore", max_categories=MOST_CATEGORIES, sparse_output=False),
    )
    parts = [("number", numbers, schema.of_kind("number")), ("category", categories, schema.of_kind("category"))]
    return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
