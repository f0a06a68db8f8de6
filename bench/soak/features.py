"""The features of a customer, recomputed in the most obvious way from the ledger.

The names are those of the reasons of a score (`Measure` in model/src/features/measure.rs has the definitions). What
needs the model's own parameters (the BG/NBD forecast) or its levels (which rare channels count as "other") is left out.
"""

import re

import programs

DAY = 86_400_000_000


def compare(reasons, items, as_of):
    """Compares the values of reasons with those of the ledger's interactions.

    Returns the number of values compared, and a text for each that differs."""
    compared, different = 0, []
    for reason in reasons:
        known, expected = value(reason.feature, items, as_of)
        if not known:
            continue
        given = read(reason.value)
        if isinstance(given, str) and given == "other":
            continue
        compared += 1
        if not equal(given, expected):
            different.append(f"{reason.feature} is {given}, and {expected} by the ledger")
    return compared, different


def read(value):
    kind = value.WhichOneof("kind")
    return None if kind in (None, "null_value") else getattr(value, kind)


def equal(given, expected):
    if given is None or expected is None or isinstance(expected, str):
        return given == expected
    return abs(given - expected) <= 1e-9 * max(1.0, abs(expected))


def value(name, items, as_of):
    """Whether the feature is known here, and its value; None where it is missing."""
    seen = sorted((item for item in items if item.occur <= as_of), key=lambda item: (item.occur, item.interaction_id))
    for pattern, compute in FEATURES.items():
        if match := re.fullmatch(pattern, name):
            return True, compute(seen, as_of, *match.groups())
    return False, None


def of(seen, kind):
    return [item for item in seen if item.kind == kind]


def within(items, as_of, window):
    if window == "ever":
        return items
    since = as_of - int(window.removesuffix("d")) * DAY
    return [item for item in items if item.occur > since]


def age(items, as_of, place):
    return (as_of - items[place].occur) / DAY if items else None


def days(items):
    return sorted({item.occur // DAY for item in items})


def amounts(items):
    return [item.amount for item in items if item.amount is not None]


def mean_gap(purchases):
    if len(purchases) < 2:
        return None
    return (purchases[-1].occur - purchases[0].occur) / DAY / (len(purchases) - 1)


def recency_over_gap(seen, as_of):
    purchases = of(seen, "purchase")
    gap = mean_gap(purchases)
    return age(purchases, as_of, -1) / gap if gap else None


def average_amount(seen, _):
    found = amounts(of(seen, "purchase"))
    return sum(found) / len(found) if found else None


def return_share(seen, _):
    bought = len(of(seen, "purchase"))
    return len(of(seen, "return")) / bought if bought else None


def open_complaints(seen, _):
    resolved = [item.occur for item in of(seen, "resolution")]
    return sum(not any(at > item.occur for at in resolved) for item in of(seen, "complaint"))


def trend(items, as_of):
    young, older = len(within(items, as_of, "30d")), len(within(items, as_of, "120d"))
    return (young + 1) / ((older - young) / 3 + 1)


def gap_variation(seen, _):
    dates = days(of(seen, "purchase"))
    gaps = [later - earlier for earlier, later in zip(dates, dates[1:])]
    if len(gaps) < 2:
        return None
    return (len(gaps) * sum(gap * gap for gap in gaps) - sum(gaps) ** 2) ** 0.5 / sum(gaps)


def last_channel(seen, _):
    found = [item.channel for item in seen if item.channel]
    return found[-1] if found else None


FEATURES = {
    r"(\w+)\.count_(\w+)": lambda seen, at, kind, window: len(within(of(seen, kind), at, window)),
    r"(\w+)\.amount_minor_(\w+)": lambda seen, at, kind, window: sum(amounts(within(of(seen, kind), at, window))),
    r"(\w+)\.days_since_last": lambda seen, at, kind: age(of(seen, kind), at, -1),
    r"(\w+)\.days_since_first": lambda seen, at, kind: age(of(seen, kind), at, 0),
    r"days_since_last": lambda seen, at: age(seen, at, -1),
    r"active_days_(\w+)": lambda seen, at, window: len(days(within(seen, at, window))),
    r"purchase\.days_ever": lambda seen, at: len(days(of(seen, "purchase"))),
    r"purchase\.mean_gap_days": lambda seen, at: mean_gap(of(seen, "purchase")),
    r"purchase\.recency_over_gap": recency_over_gap,
    r"purchase\.average_amount_minor": average_amount,
    r"return_share": return_share,
    r"open_complaints": open_complaints,
    r"trend": trend,
    r"(\w+)\.trend": lambda seen, at, kind: trend(of(seen, kind), at),
    r"purchase\.gap_variation": gap_variation,
    r"channel_last": last_channel,
    r"channel\.(\w+)_count": lambda seen, at, channel: sum(item.channel == channel for item in seen),
    # The customers of the ledger are created by their first interaction.
    r"tenure_days": lambda seen, at: age(seen, at, 0),
}


def facts(insight, items, as_of):
    """The same for facts of GetCustomerInsight that cover all time."""
    seen = [item for item in items if item.occur <= as_of]
    complaints = of(seen, "complaint")
    expected = {"complaints": len(complaints), "complaints_open": open_complaints(seen, as_of)}
    return [f"{name} is {getattr(insight, name)}, and {value} by the ledger" for name, value in expected.items()
            if getattr(insight, name) != value]


def log_odds(score):
    """The log-odds of a score by its reasons."""
    return score.base_log_odds + sum(reason.contribution for reason in score.reasons)


def score_of(client, customer, bought, **options):
    """The score of the target that the customer is eligible for, with all reasons."""
    pb = programs.pb
    if bought:
        return client.scoring.PredictChurn(pb.PredictChurnRequest(customer_id=customer, max_reasons=-1, **options), timeout=10)
    return client.scoring.ScoreLead(pb.ScoreLeadRequest(customer_id=customer, max_reasons=-1, **options), timeout=10)
