"""LightGBM on exactly the rows of a training, for comparison with the holdout metrics of the model card.

    pip install lightgbm pandas scikit-learn
    tally-train lead … --matrix-out rows.csv --report-out report.json
    python bench/quality/against_lightgbm.py rows.csv report.json [rows2.csv report2.json …]
    python bench/quality/against_lightgbm.py --at 2011-09-09 --horizon-days 90 rows.csv

Prints AUC and log loss on the holdout for the model, for LightGBM with its default parameters, and for
LightGBM with the stronger regularisation that small data need ("held back"). The parameters are the same for
all data; nothing is tuned to a holdout. With several pairs of files the last line is the mean.

With --at the matrix comes from a later training: LightGBM learns from the rows whose horizon was over at
that moment and is judged on the rows of that moment. Then only its own figures are printed.
"""

import argparse
import json

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

FIXED = ["customer_id", "as_of", "split", "label"]
HELD_BACK = dict(
    n_estimators=150, learning_rate=0.03, num_leaves=15, min_child_samples=40, subsample=0.8,
    subsample_freq=1, colsample_bytree=0.7, reg_lambda=5, random_state=0,
)


def boosted(rows, train, holdout, **parameters):
    features = rows.drop(columns=FIXED)
    for name in features:
        if not pd.api.types.is_numeric_dtype(features[name]) or features[name].dtype == bool:
            features[name] = features[name].astype("category")
    model = lightgbm.LGBMClassifier(verbose=-1, **parameters).fit(features[train], rows.label[train])
    predicted = model.predict_proba(features[holdout])[:, 1]
    return roc_auc_score(rows.label[holdout], predicted), log_loss(rows.label[holdout], predicted)


def both(rows, train, holdout):
    return [*boosted(rows, train, holdout), *boosted(rows, train, holdout, **HELD_BACK)]


def against_holdouts(files):
    print("        tally         lightgbm     lightgbm, held back")
    print("    AUC  log loss   AUC  log loss   AUC  log loss")
    lines = []
    for rows, report in zip(files[::2], files[1::2]):
        rows, card = pd.read_csv(rows), json.load(open(report))["holdout"]
        lines.append([card["auc"], card["log_loss"], *both(rows, rows.split == "train", rows.split == "holdout")])
        print("  ".join(f"{value:.4f}" for value in lines[-1]))
    if len(lines) > 1:
        print("  ".join(f"{value:.4f}" for value in np.mean(lines, axis=0)), "  mean")


def at(moment, horizon_days, file):
    rows = pd.read_csv(file)
    as_of, moment = pd.to_datetime(rows.as_of, utc=True), pd.Timestamp(moment, tz="UTC")
    train, holdout = as_of + pd.Timedelta(days=horizon_days) <= moment, as_of == moment
    print(f"{train.sum()} rows to learn from, {holdout.sum()} to judge, {rows.label[holdout].sum()} with the outcome")
    print("    lightgbm     lightgbm, held back")
    print("    AUC  log loss   AUC  log loss")
    print("  ".join(f"{value:.4f}" for value in both(rows, train, holdout)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--at")
    parser.add_argument("--horizon-days", type=int)
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    if (asked.at is None) != (asked.horizon_days is None):
        parser.error("--at and --horizon-days go together")
    if asked.at is None and len(asked.files) % 2:
        parser.error("each rows.csv needs its report.json")
    if asked.at is None:
        against_holdouts(asked.files)
    else:
        for file in asked.files:
            at(asked.at, asked.horizon_days, file)
