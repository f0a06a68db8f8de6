"""LightGBM on exactly the rows of a training, to be set against the holdout metrics of the model card.

    pip install lightgbm pandas scikit-learn
    tally-train lead … --matrix-out rows.csv --report-out report.json
    python bench/quality/against_lightgbm.py rows.csv report.json [rows2.csv report2.json …]

Prints AUC and log loss on the holdout for the model, for LightGBM with its default parameters, and for
LightGBM held back as small data need it. The parameters are the same for all data; nothing is tuned
to a holdout. With several pairs of files the last line is the mean.
"""

import json
import sys

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

FIXED = ["customer_id", "as_of", "split", "label"]
HELD_BACK = dict(
    n_estimators=150, learning_rate=0.03, num_leaves=15, min_child_samples=40, subsample=0.8,
    subsample_freq=1, colsample_bytree=0.7, reg_lambda=5, random_state=0,
)


def boosted(rows, **parameters):
    features = rows.drop(columns=FIXED)
    for name in features:
        if not pd.api.types.is_numeric_dtype(features[name]) or features[name].dtype == bool:
            features[name] = features[name].astype("category")
    train, holdout = rows.split == "train", rows.split == "holdout"
    model = lightgbm.LGBMClassifier(verbose=-1, **parameters).fit(features[train], rows.label[train])
    predicted = model.predict_proba(features[holdout])[:, 1]
    return roc_auc_score(rows.label[holdout], predicted), log_loss(rows.label[holdout], predicted)


def main(files):
    print("        tally         lightgbm     lightgbm, held back")
    print("    AUC  log loss   AUC  log loss   AUC  log loss")
    lines = []
    for rows, report in zip(files[::2], files[1::2]):
        rows, card = pd.read_csv(rows), json.load(open(report))["holdout"]
        lines.append([card["auc"], card["log_loss"], *boosted(rows), *boosted(rows, **HELD_BACK)])
        print("  ".join(f"{value:.4f}" for value in lines[-1]))
    if len(lines) > 1:
        print("  ".join(f"{value:.4f}" for value in np.mean(lines, axis=0)), "  mean")


if __name__ == "__main__":
    main(sys.argv[1:])
