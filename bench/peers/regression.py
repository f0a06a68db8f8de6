"""Logistic regression by scikit-learn, and the exact solution.

    regression.py lbfgs FILE ROWS COLUMNS PENALTY     scikit-learn, lbfgs to tolerance 1e-6
    regression.py irls FILE ROWS COLUMNS PENALTY      Newton's method until convergence, in numpy

Both print JSON. The loss is the sum over the rows plus PENALTY / 2 times the sum of squared weights; the
intercept is not penalised.
"""

import json
import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression


def read(file, rows, columns):
    labels = np.fromfile(file, np.uint8, rows)
    matrix = np.fromfile(file, np.float64, rows * columns, offset=rows)
    return matrix.reshape((rows, columns), order="F"), labels


def lbfgs(matrix, labels, penalty):
    # scikit-learn is faster on row-major data; the conversion is not timed.
    matrix = np.ascontiguousarray(matrix)
    begin = time.perf_counter()
    model = LogisticRegression(C=1 / penalty, tol=1e-6, max_iter=1000).fit(matrix, labels)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "intercept": model.intercept_[0], "weights": model.coef_[0].tolist()}


def irls(matrix, labels, penalty):
    rows, columns = matrix.shape
    ridge = np.diag([0.0] + [penalty] * columns)
    parameters = np.zeros(columns + 1)
    for _ in range(30):
        p = 1 / (1 + np.exp(-(matrix @ parameters[1:] + parameters[0])))
        gradient = np.concatenate([[np.sum(p - labels)], matrix.T @ (p - labels)]) + ridge @ parameters
        weighted = matrix * (p * (1 - p))[:, None]
        hessian = np.empty((columns + 1, columns + 1))
        hessian[0, 0] = np.sum(p * (1 - p))
        hessian[0, 1:] = hessian[1:, 0] = weighted.sum(axis=0)
        hessian[1:, 1:] = matrix.T @ weighted
        step = np.linalg.solve(hessian + ridge, gradient)
        parameters -= step
        if np.max(np.abs(step)) < 1e-12:
            break
    return {"intercept": parameters[0], "weights": parameters[1:].tolist()}


def main():
    task, file, rows, columns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    solve = {"lbfgs": lbfgs, "irls": irls}[task]
    print(json.dumps(solve(*read(file, rows, columns), float(sys.argv[5]))))


main()
