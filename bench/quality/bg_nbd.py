"""Computes the expected values of model/tests/bg_nbd.rs without Tally and prints them as Rust constants.

    pip install lifetimes==0.11.3 mpmath==1.4.1 numpy scipy
    python bench/quality/bg_nbd.py

- The likelihood and its maximum come from `lifetimes`.
- P(alive), expected purchases and the probability of no purchase come from Bayes' rule alone: the
  prior of (lambda, p) times the likelihood of one customer's purchases is integrated numerically.
  The script stops if they disagree with `lifetimes`, or with equation 10 of Fader, Hardie and Lee
  (2005), evaluated with 60 digits, where those are defined.
"""

import mpmath
import numpy as np
from lifetimes import BetaGeoFitter

CDNOW = (0.243, 4.414, 0.793, 2.426)
# r, alpha, a, b. Equation 10 as printed is undefined for a = 1, and for a + b = 1 without repeat purchases.
MODELS = [CDNOW, (0.6, 7.0, 1.0, 2.5), (1.7, 0.02, 0.3, 0.2), (12.0, 9.0, 0.4, 0.6), (3.5, 30.0, 60.0, 400.0)]
# x, days from the first to the last purchase, days from the first purchase to now.
HISTORIES = [(0, 0, 0), (0, 0, 365), (1, 12, 400), (2, 213, 272), (40, 300, 310), (1500, 1600, 1601)]
DAYS = [90, 3650]


def simulated(customers=60, seed=7):
    """Customers that behave as the model assumes, with times in whole days."""
    dice, rows = np.random.default_rng(seed), []
    for _ in range(customers):
        age = int(dice.integers(0, 400))
        rate, leaves = dice.gamma(0.8) / 5.0, dice.beta(1.2, 4.0)
        days, week = [0], 0.0
        while True:
            week += dice.exponential(1.0 / rate)
            if np.ceil(7 * week) > age:
                break
            days.append(int(np.ceil(7 * week)))
            if dice.random() < leaves:
                break
        rows.append((len(set(days)) - 1, days[-1], age))
    return rows


def nodes(log_density):
    """A uniform grid over the part of the real line where the density matters, even when multiplied by
    a steep function. The density is smooth and vanishes at both ends, so a plain sum integrates it."""
    y = np.linspace(-3000, 3000, 3_000_001)
    with np.errstate(over="ignore"):
        counts = y[log_density(y) > log_density(y).max() - 110]
    return np.linspace(counts[0], counts[-1], max(2_000, int((counts[-1] - counts[0]) / 0.05)), retstep=True)


def integrate(model, weeks_silent, x, left, weeks):
    """Integrals over (ln lambda, logit p) of prior * likelihood * (1, exp(-lambda t), (1 - exp(-lambda p t)) / p),
    for a customer who has not left after x repeat purchases (left = 0), or who left at the last of them (1)."""
    r, alpha, a, b = model
    rate = lambda y: (r + x) * y - (alpha + weeks_silent) * np.exp(y)
    left_after = lambda y: -(a + left) * np.logaddexp(0, -y) - (b + x - left) * np.logaddexp(0, y)
    (y, dy), (v, dv) = nodes(rate), nodes(left_after)
    lam, p = np.exp(y), np.exp(-np.logaddexp(0, -v))
    top = [rate(y).max(), left_after(v).max()]
    density_y, density_v = np.exp(rate(y) - top[0]) * dy, np.exp(left_after(v) - top[1]) * dv
    purchases = sum(
        weight * np.dot(density_v, -np.expm1(-one * p * weeks) / p) for weight, one in zip(density_y, lam)
    )
    total = density_y.sum() * density_v.sum()
    none = np.dot(density_y, np.exp(-lam * weeks)) * density_v.sum()
    return np.array([total, none, purchases]), sum(top)


def by_bayes(model, history, weeks):
    """P(alive), expected purchases, probability of no purchase."""
    x, last, age = history[0], history[1] / 7, history[2] / 7
    (active, none, purchases), log_active = integrate(model, age, x, 0, weeks)
    gone = 0.0
    if x > 0:
        (gone, _, _), log_gone = integrate(model, last, x, 1, weeks)
        gone *= np.exp(log_gone - log_active)
    return active / (active + gone), purchases / (active + gone), (none + gone) / (active + gone)


def equation_10(model, history, weeks):
    mpmath.mp.dps = 60
    r, alpha, a, b = map(mpmath.mpf, model)
    x, last, age, t = history[0], mpmath.mpf(history[1]) / 7, mpmath.mpf(history[2]) / 7, mpmath.mpf(weeks)
    if a == 1 or abs(a + b + x - 1) < 1e-9:
        return None
    f = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t), maxterms=10**7)
    stays = 1 - ((alpha + age) / (alpha + age + t)) ** (r + x) * f
    gone = a / (b + x - 1) * ((alpha + age) / (alpha + last)) ** (r + x) if x > 0 else 0
    return float((a + b + x - 1) / (a - 1) * stays / (1 + gone))


def fitter(model):
    fitted = BetaGeoFitter()
    fitted.params_ = dict(zip(["r", "alpha", "a", "b"], model))
    return fitted


def log_likelihood(model, rows):
    x, last, age = (np.array(column, dtype=float) for column in zip(*rows))
    ones = np.ones(len(rows))
    return -len(rows) * BetaGeoFitter._negative_log_likelihood(np.log(model), x, last / 7, age / 7, ones, 0.0)


def close(one, other):
    return abs(one - other) <= 1e-8 * max(abs(one), abs(other))


rows = simulated()
print("const CUSTOMERS: &str = \"\\")
for start in range(0, len(rows), 10):
    line = ", ".join(" ".join(map(str, row)) for row in rows[start : start + 10])
    print(f"    {line}" + (", \\" if start + 10 < len(rows) else "\";"))

x, last, age = (np.array(column, dtype=float) for column in zip(*rows))
best = BetaGeoFitter().fit(x, last / 7, age / 7, tol=1e-8)
best = [float(best.params_[name]) for name in ("r", "alpha", "a", "b")]
print(f"\nconst BEST: [f64; 4] = {[round(value, 9) for value in best]};")
print(f"const BEST_LOG_LIKELIHOOD: f64 = {log_likelihood(best, rows):.9f};")

print(f"\nconst HISTORIES: [[u32; 3]; {len(HISTORIES)}] = {[list(history) for history in HISTORIES]};")
print(f"const DAYS: [f64; {len(DAYS)}] = {[float(days) for days in DAYS]};")

print(f"\nconst EXPECTED: [Expected; {len(MODELS)}] = [")
for model in MODELS:
    print(f"    Expected {{\n        parameters: {list(model)},")
    print(f"        log_likelihood: {log_likelihood(model, rows):.9f},\n        futures: [")
    for history in HISTORIES:
        for days in DAYS:
            alive, purchases, none = by_bayes(model, history, days / 7)
            x, last, age = history[0], history[1] / 7, history[2] / 7
            other = fitter(model).conditional_probability_alive(x, last, age)
            assert close(alive, np.ravel(other)[0]), (model, history, alive, other)
            printed = equation_10(model, history, days / 7)
            assert printed is None or close(purchases, printed), (model, history, days, purchases, printed)
            if model == CDNOW and x < 1000:
                other = fitter(model).conditional_expected_number_of_purchases_up_to_time(days / 7, x, last, age)
                assert close(purchases, np.ravel(other)[0]), (model, history, days, purchases, other)
            print(f"            [{alive:.9e}, {purchases:.9e}, {none:.9e}],", flush=True)
    print("        ],\n    },")
print("];")
