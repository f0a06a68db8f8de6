"""Every number of the insight service, computed a second time and in the most obvious way.

Reads the files that `tally import` reads and knows nothing of the server: only the definitions of the metrics. All
times are integer microseconds since 1970 in UTC, all money is integer minor units. What decides on which side of a
limit somebody falls is computed with integers and fractions; only results become floating-point numbers.

    business = read(customers_file, interactions_file)
    population = Population(business, as_of)          # facts, segments, members, attributes at a moment
    Kpis(business, from_time, to_time, ...).rows()    # and sales, cohorts, campaigns, by period

A result is a dict, or a list of dicts, with the field names of the contract. None is what is absent.
"""

import bisect
import collections
import csv
import dataclasses
import datetime
import decimal
import fractions
import functools
import gzip
import itertools
import math
import re
import zoneinfo

Fraction = fractions.Fraction

HOUR = 3_600_000_000
DAY = 24 * HOUR

# The defaults of the service.
WINDOW = 365 * DAY
CONTACT_KINDS = {"call", "email", "meeting", "message", "letter"}
SLA = 24 * HOUR
A_SHARE, B_SHARE = Fraction(80, 100), Fraction(95, 100)
DECLINING_AFTER, LOST_AFTER = Fraction(3, 2), 3
MATURE_FROM = 5
# Of the typical interval when nobody has bought on two days.
FALLBACK_INTERVAL = Fraction(90)
LOYAL_AFTER = 365 * DAY
LEAD_HORIZON = 30 * DAY
# Of purchases, suggested to customers.
AFFINITY_PROPERTY = "category"
# The customers that an affinity needs, the values that can have one, the affinities that are listed, and how many values
# are suggested to a customer.
LEAST_BOTH, MOST_VALUES, MOST_AFFINITIES, SUGGESTED = 10, 1_000, 50_000, 5

# The segment of those whom a segmentation does not class. It cannot be mistaken
# for a segment of those without the attribute, whose name is empty.
NONE = "none"

ABC_CLASSES = ["A", "B", "C", NONE]
RFM_SEGMENTS = ["champions", "loyal", "new", "promising", "cannot_lose", "at_risk", "lost", "other", NONE]
LIFE_CYCLE = ["lead", "lost", "declining", "won_back", "new", "growing", "mature"]
VALUE_LOYALTY = ["high", "potential", "low", NONE]
SEGMENTS = {"abc": ABC_CLASSES, "rfm": RFM_SEGMENTS, "life_cycle": LIFE_CYCLE, "value_loyalty": VALUE_LOYALTY}


def ratio(numerator, denominator):
    """A quotient as a floating-point number; absent when the divisor is 0 or absent, or the dividend absent."""
    if numerator is None or not denominator:
        return None
    if isinstance(numerator, float) or isinstance(denominator, float):
        return numerator / denominator
    return float(Fraction(numerator) / Fraction(denominator))


def growth(now, then):
    """Absent when there was nothing to grow from."""
    return ratio(now - then, then) if then > 0 else None


# -- the files -------------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class Interaction:
    interaction_id: str
    customer_id: str
    kind: str
    time: int
    amount: int | None
    channel: str
    properties: dict

    @property
    def money(self):
        """A purchase without an amount counts as an order of 0."""
        return self.amount or 0

    def number(self, name):
        return number_of(self.properties.get(name))

    @property
    def discounted(self):
        return any((self.number(name) or 0) > 0 for name in ("discount_percent", "discount_minor"))

    @property
    def satisfaction(self):
        """Of a survey that has both numbers."""
        score, expected = self.number("score"), self.number("expected")
        return score / expected if score is not None and expected is not None and expected > 0 else None


@dataclasses.dataclass(slots=True)
class Customer:
    customer_id: str
    create_time: int | None = None
    attributes: dict = dataclasses.field(default_factory=dict)
    # In the order of time.
    interactions: list = dataclasses.field(default_factory=list)

    @property
    def begin(self):
        """From when on the customer exists: its `create_time` or first interaction, whichever is earlier."""
        times = [interaction.time for interaction in self.interactions[:1]]
        return min(times if self.create_time is None else [*times, self.create_time])

    def attributes_at(self, time):
        """The record of a customer is known from its `create_time` on."""
        return self.attributes if self.create_time is not None and self.create_time <= time else {}

    def of_kind(self, kind, until):
        return [each for each in self.interactions if each.kind == kind and each.time <= until]


@dataclasses.dataclass
class Business:
    # By id.
    customers: dict
    # The names of all attributes and "number", "boolean" or "text".
    attribute_types: dict

    def interactions(self, *kinds):
        """Those of all customers, in the order of time."""
        found = [each for customer in self.customers.values() for each in customer.interactions if each.kind in kinds]
        return sorted(found, key=lambda each: each.time)


def read(customers_file, interactions_file):
    customers, columns = {}, {}
    for row in csv_rows(customers_file):
        customer_id = row.pop("customer_id")
        create_time = row.pop("create_time", None) or row.pop("created_at", None)
        row.pop("created_at", None)
        # The latest row of a customer counts.
        customers[customer_id] = Customer(customer_id, microseconds(create_time) if create_time else None, row)
        columns.update(dict.fromkeys(row))
    types = {name: attribute_type(customers.values(), name) for name in columns}
    for customer in customers.values():
        typed = {name: typed_value(text, types[name]) for name, text in customer.attributes.items()}
        customer.attributes = {name: value for name, value in typed.items() if value is not None}
    seen = set()
    for interaction in map(interaction_of, csv_rows(interactions_file)):
        key = interaction.customer_id, interaction.interaction_id
        if key not in seen:
            seen.add(key)
            customers.setdefault(interaction.customer_id, Customer(interaction.customer_id))
            customers[interaction.customer_id].interactions.append(interaction)
    for customer in customers.values():
        customer.interactions.sort(key=lambda each: (each.time, each.interaction_id))
    return Business(customers, {name: kind for name, kind in types.items() if kind})


def csv_rows(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield {name.strip(): (text or "").strip() for name, text in row.items()}


def interaction_of(row):
    interaction_id, customer_id, kind = row.pop("interaction_id"), row.pop("customer_id"), row.pop("kind")
    time = row.pop("occurred_at", "") or row.pop("occur_time", "")
    row.pop("occur_time", None)
    amount, channel = row.pop("amount", ""), row.pop("channel", "")
    properties = {name: text for name, text in row.items() if text}
    return Interaction(
        interaction_id, customer_id, kind, microseconds(time), minor_units(amount) if amount else None,
        "" if is_placeholder(channel) else channel, properties)


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def microseconds(text):
    """Of a time in RFC 3339, or of a date, which begins at midnight UTC."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def rfc3339(time):
    moment = EPOCH + datetime.timedelta(microseconds=time)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def minor_units(text):
    minor = decimal.Decimal(text) * 100
    if minor != minor.to_integral_value():
        raise ValueError(f"{text} is finer than the minor unit")
    return int(minor)


def number_of(text):
    """The number that a property is, if it is one."""
    if text is None or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


PLACEHOLDERS = {
    "nan", "na", "<na>", "nat", "n/a", "#n/a", "null", "(null)", "nil", "none", "undefined", "\\n", "?", "-", "--",
    "–", "—", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"}


def is_placeholder(text):
    return text == "" or text.lower() in PLACEHOLDERS


def is_number(text):
    """Whether a cell is no more than a number: 007 and +49 are codes, and large integers are ids."""
    if not re.fullmatch(r"-?((0|[1-9]\d*)(\.\d+)?|\.\d+)(e-?\d+)?", text) or not math.isfinite(float(text)):
        return False
    return not re.fullmatch(r"-?\d+", text) or abs(int(text)) <= 2**53


def attribute_type(customers, name):
    """The type that nearly all values of a column have; absent when there is no value."""
    texts = [customer.attributes.get(name, "") for customer in customers]
    texts = [text for text in texts if not is_placeholder(text)]
    if not texts:
        return None
    if 100 * sum(map(is_number, texts)) >= 95 * len(texts):
        return "number"
    if 100 * sum(text in ("true", "false") for text in texts) >= 95 * len(texts):
        return "boolean"
    return "text"


def typed_value(text, kind):
    """Absent when a cell is empty or not of the type of its column."""
    if is_placeholder(text):
        return None
    if kind == "number":
        return float(text) if is_number(text) else None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text)
    return text


def attribute_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # The shortest digits that give the number back, without an exponent: 5, not 5.0.
        digits = format(decimal.Decimal(repr(value)), "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return value


# -- one customer at a moment ----------------------------------------------------------------------------


def expected_interval(purchase_days, typical):
    """In days: their own intervals and one typical interval."""
    return (purchase_days[-1] - purchase_days[0] + typical) / len(purchase_days)


def overdue_time(purchase_days, typical):
    """The instant at which somebody without a purchase after these days is lost, in microseconds: a fraction."""
    return purchase_days[-1] * DAY + LOST_AFTER * expected_interval(purchase_days, typical) * DAY


class Facts:
    """What is known of one customer at a moment. `Population` adds what depends on the others."""

    def __init__(self, customer, as_of):
        self.customer, self.customer_id, self.as_of = customer, customer.customer_id, as_of
        self.history = [each for each in customer.interactions if each.time <= as_of]
        self.purchases = self.of_kind("purchase")
        self.returns = self.of_kind("return")
        self.days = sorted({each.time // DAY for each in self.purchases})
        self.first_purchase = self.purchases[0].time if self.purchases else None
        self.last_purchase = self.purchases[-1].time if self.purchases else None
        self.recency_days = (as_of - self.last_purchase) // DAY if self.purchases else None
        self.window_orders, self.window_revenue, self.window_returns = self.window(as_of)
        _, revenue_before, returns_before = self.window(as_of - WINDOW)
        self.window_net = self.window_revenue - self.window_returns
        self.previous_net = revenue_before - returns_before
        self.surveys = [each.satisfaction for each in self.of_kind("survey") if each.satisfaction is not None]

    @property
    def attributes(self):
        return self.customer.attributes_at(self.as_of)

    def of_kind(self, *kinds):
        return [each for each in self.history if each.kind in kinds]

    def window(self, until):
        """Orders, revenue and returns of the window that ends then."""
        inside = lambda each: until - WINDOW < each.time <= until
        purchases = [each.money for each in self.purchases if inside(each)]
        return len(purchases), sum(purchases), sum(each.money for each in self.returns if inside(each))

    def bought(self, name, ever=False):
        """The values of a property of the purchases of the window."""
        counted = [each for each in self.purchases if ever or self.as_of - WINDOW < each.time]
        return {each.properties[name] for each in counted if name in each.properties}

    def set_typical_interval(self, typical):
        self.expected_interval, self.overdue_ratio = None, None
        if self.purchases:
            self.expected_interval = expected_interval(self.days, typical)
            self.overdue_ratio = Fraction(self.as_of - self.days[-1] * DAY, DAY) / self.expected_interval
        self.life_cycle = self.life_cycle_by(typical)
        self.loyalty_points = 20 * sum(self.signs_of_loyalty())

    def life_cycle_by(self, typical):
        if not self.purchases:
            return "lead"
        if self.overdue_ratio >= LOST_AFTER or any(each.time > self.last_purchase for each in self.of_kind("cancel")):
            return "lost"
        if self.overdue_ratio > DECLINING_AFTER:
            return "declining"
        if self.is_won_back(typical):
            return "won_back"
        if len(self.days) == 1:
            return "new"
        return "growing" if len(self.days) < MATURE_FROM else "mature"

    def is_won_back(self, typical):
        """Whether the last purchase day ended a loss."""
        if len(self.days) < 2:
            return any(self.first_purchase < each.time <= self.last_purchase for each in self.of_kind("cancel"))
        # No loss when the next purchase day begins up to the instant at which it would happen, also at that instant.
        if self.days[-1] * DAY > overdue_time(self.days[:-1], typical):
            return True
        previous = max(each.time for each in self.purchases if each.time // DAY < self.days[-1])
        return any(previous < each.time <= self.last_purchase for each in self.of_kind("cancel"))

    def signs_of_loyalty(self):
        # Whoever has never bought can only refer others.
        bought = bool(self.purchases)
        return [
            len(self.days) >= 2,
            bought and self.overdue_ratio <= DECLINING_AFTER,
            bought and self.as_of - self.first_purchase >= LOYAL_AFTER,
            bought and 2 * self.discounted <= len(self.purchases),
            bool(self.of_kind("referral")),
        ]

    @property
    def discounted(self):
        return sum(each.discounted for each in self.purchases)

    @property
    def cost(self):
        """Money in minor units that is no whole number is not counted."""
        told = [each.number("cost_minor") for each in self.history]
        return (
            sum(int(cost) for cost in told if cost is not None and cost.is_integer())
            + sum(each.money for each in self.of_kind("cost")))

    @property
    def complaints_open(self):
        last_resolution = max((each.time for each in self.of_kind("resolution")), default=-math.inf)
        return sum(each.time > last_resolution for each in self.of_kind("complaint"))

    @property
    def last_contact(self):
        return max((each.time for each in self.of_kind(*CONTACT_KINDS)), default=None)

    @property
    def referred(self):
        return {each.properties.get("referred_customer_id") for each in self.of_kind("referral")} - {None}

    @property
    def share_of_wallet(self):
        wallet = self.attributes.get("wallet_minor")
        return ratio(self.window_net, wallet) if isinstance(wallet, float) and wallet > 0 else None

    @property
    def value_loyalty(self):
        if self.abc_class == NONE:
            return NONE
        return ["low", "potential", "high"][(self.abc_class == "A") + (self.loyalty_points >= 60)]

    def segment(self, segmentation):
        if segmentation.startswith("attribute:"):
            value = self.attributes.get(segmentation.removeprefix("attribute:"))
            return "" if value is None else attribute_text(value)
        return {
            "abc": self.abc_class, "rfm": self.rfm_segment, "rfm_cell": self.rfm_cell,
            "life_cycle": self.life_cycle, "value_loyalty": self.value_loyalty}[segmentation]

    def member(self, segmentation):
        return {
            "customer_id": self.customer_id,
            "segment": self.segment(segmentation),
            "revenue_minor": self.window_revenue,
            "returns_minor": self.window_returns,
            "orders": self.window_orders,
            "previous_net_minor": self.previous_net,
            "growth": growth(self.window_net, self.previous_net),
            "recency_days": self.recency_days,
            "rfm_cell": self.rfm_cell,
            "abc_class": self.abc_class,
            "life_cycle": self.life_cycle,
            "loyalty_points": self.loyalty_points,
            "expected_interval_days": ratio(self.expected_interval, 1),
            "overdue_ratio": ratio(self.overdue_ratio, 1),
        }


# -- all customers at a moment ---------------------------------------------------------------------------


class Population:
    def __init__(self, business, as_of):
        self.business, self.as_of = business, as_of
        self.facts = {
            customer.customer_id: Facts(customer, as_of)
            for customer in business.customers.values() if customer.begin <= as_of}
        self.typical_interval = typical_interval(facts.days for facts in self.facts.values())
        for facts in self.facts.values():
            facts.set_typical_interval(self.typical_interval)
            facts.abc_class = facts.rfm_cell = facts.rfm_segment = NONE
        active = [facts for facts in self.facts.values() if facts.window_orders]
        set_abc_classes(active)
        set_rfm(active)
        carriers = collections.Counter(name for facts in self.facts.values() for name in facts.attributes)
        self.attribute_names = sorted(carriers)
        self.common_names = sorted(name for name, count in carriers.items() if 2 * count >= len(self.facts))

    def customer(self, customer_id):
        facts = self.facts[customer_id]
        revenue = sum(each.money for each in facts.purchases)
        returns = sum(each.money for each in facts.returns)
        bought = [
            other for other in facts.referred if other in self.facts and self.facts[other].purchases]
        missing = [name for name in self.common_names if name not in facts.attributes]
        return {
            "customer_id": customer_id,
            "as_of_time": self.as_of,
            "life_cycle": facts.life_cycle,
            "abc_class": facts.abc_class,
            "rfm_cell": facts.rfm_cell,
            "rfm_segment": facts.rfm_segment,
            "value_loyalty": facts.value_loyalty,
            "revenue_minor": revenue,
            "returns_minor": returns,
            "cost_minor": facts.cost,
            "profit_minor": revenue - returns - facts.cost,
            "orders": len(facts.purchases),
            "purchase_days": len(facts.days),
            "first_purchase_time": facts.first_purchase,
            "last_purchase_time": facts.last_purchase,
            "recency_days": facts.recency_days,
            "expected_interval_days": ratio(facts.expected_interval, 1),
            "overdue_ratio": ratio(facts.overdue_ratio, 1),
            "satisfaction": mean(facts.surveys),
            "loyalty_points": facts.loyalty_points,
            "discount_share": ratio(facts.discounted, len(facts.purchases)),
            "referrals": len(facts.of_kind("referral")),
            "referrals_bought": len(bought),
            "share_of_wallet": facts.share_of_wallet,
            "complaints": len(facts.of_kind("complaint")),
            "complaints_open": facts.complaints_open,
            "last_contact_time": facts.last_contact,
            "completeness": ratio(len(self.common_names) - len(missing), len(self.common_names)),
            "missing_attributes": missing,
        }

    def segments(self, segmentation):
        """Those of a fixed list are all there, also without customers; the others when they have one."""
        groups = {segment: [] for segment in SEGMENTS.get(segmentation, [])}
        for facts in self.facts.values():
            groups.setdefault(facts.segment(segmentation), []).append(facts)
        revenue = sum(facts.window_revenue for facts in self.facts.values())
        return [self.segment_row(segment, members, revenue) for segment, members in groups.items()]

    def segment_row(self, segment, members, total_revenue):
        total = lambda field: sum(getattr(facts, field) for facts in members)
        return {
            "segment": segment,
            "customers": len(members),
            "revenue_minor": total("window_revenue"),
            "returns_minor": total("window_returns"),
            "orders": total("window_orders"),
            "share_of_customers": ratio(len(members), len(self.facts)),
            "share_of_revenue": ratio(total("window_revenue"), total_revenue),
            "growth": growth(total("window_net"), total("previous_net")),
            "satisfaction": mean([survey for facts in members for survey in facts.surveys]),
        }

    def transitions_from(self, earlier, segmentation):
        """How many customers were in which segment at an earlier moment, and are in which now."""
        counts = collections.Counter()
        for customer_id, facts in self.facts.items():
            before = earlier.facts.get(customer_id)
            from_segment = before.segment(segmentation) if before else ""
            counts[before is None, from_segment, facts.segment(segmentation)] += 1
        return [
            {"did_not_exist": is_new, "from_segment": before, "to_segment": now, "customers": customers}
            for (is_new, before, now), customers in sorted(counts.items())]

    def members(self, segmentation, segment=""):
        members = [
            facts for facts in self.facts.values() if segment in ("", facts.segment(segmentation))]
        members.sort(key=lambda facts: (-facts.window_net, facts.customer_id))
        return [facts.member(segmentation) for facts in members]

    @functools.cache
    def affinities(self, name):
        """Of the values of a property, the strongest first."""
        baskets = [basket for basket in (facts.bought(name) for facts in self.facts.values()) if basket]
        counts = collections.Counter(value for basket in baskets for value in basket)
        candidates = sorted((value for value in counts if counts[value] >= LEAST_BOTH), key=lambda v: (-counts[v], v))
        listed = set(candidates[:MOST_VALUES])
        pairs = collections.Counter(
            pair for basket in baskets for pair in itertools.permutations(sorted(basket & listed), 2))
        found = []
        for (from_value, to_value), both in pairs.items():
            of_from, of_to = counts[from_value], counts[to_value]
            lower = lower_end(both, of_from)
            if both >= LEAST_BOTH and lower > of_to / len(baskets):
                found.append({
                    "from_value": from_value, "to_value": to_value, "from_customers": of_from, "to_customers": of_to,
                    "both": both, "confidence": ratio(both, of_from), "confidence_lower": lower,
                    "lift": ratio(both * len(baskets), of_from * of_to)})
        found.sort(key=lambda row: (-row["confidence_lower"], -row["lift"], row["from_value"], row["to_value"]))
        return found[:MOST_AFFINITIES]

    def next_to_buy(self, customer_id):
        facts = self.facts[customer_id]
        window, ever = facts.bought(AFFINITY_PROPERTY), facts.bought(AFFINITY_PROPERTY, ever=True)
        best = {}
        for row in self.affinities(AFFINITY_PROPERTY):
            if row["from_value"] in window and row["to_value"] not in ever:
                best.setdefault(row["to_value"], row)
        order = sorted(best.values(), key=lambda row: (-row["confidence_lower"], -row["lift"], row["to_value"]))
        return [
            {"value": row["to_value"], "because": row["from_value"], "confidence_lower": row["confidence_lower"],
             "lift": row["lift"]} for row in order[:SUGGESTED]]

    def attributes(self, segmentation="", segment=""):
        """All attributes of the population; the numbers are those of the segment."""
        members = [
            facts.attributes for facts in self.facts.values()
            if not segment or facts.segment(segmentation) == segment]
        rows = []
        for name in self.attribute_names:
            values = collections.Counter(
                attribute_text(attributes[name]) for attributes in members if name in attributes)
            rows.append({
                "name": name,
                "type": self.business.attribute_types[name],
                "customers": values.total(),
                "coverage": ratio(values.total(), len(members)),
                "distinct_values": len(values),
                "top_values": [
                    {"value": value, "customers": customers}
                    for value, customers in sorted(values.items(), key=lambda item: (-item[1], item[0]))],
            })
        return rows


def mean(numbers):
    return math.fsum(numbers) / len(numbers) if numbers else None


def lower_end(successes, trials):
    """Of the 95 % interval of a share by Wilson: the lesser root of (seen - p)² = z² p (1 - p) / trials."""
    seen, z = successes / trials, 1.959963984540054
    root = z * math.sqrt(z * z + 4 * trials * seen * (1 - seen))
    return (2 * trials * seen + z * z - root) / (2 * (trials + z * z))


def typical_interval(all_purchase_days):
    """In days: the median over buyers with two purchase days or more of their own mean interval."""
    intervals = sorted(
        Fraction(days[-1] - days[0], len(days) - 1) for days in all_purchase_days if len(days) >= 2)
    if not intervals:
        return FALLBACK_INTERVAL
    middle = len(intervals) // 2
    return intervals[middle] if len(intervals) % 2 else (intervals[middle - 1] + intervals[middle]) / 2


def set_abc_classes(active):
    total = sum(facts.window_net for facts in active if facts.window_net > 0)
    by_net = collections.Counter()
    for facts in active:
        by_net[facts.window_net] += facts.window_net
    # The sum of all who bring strictly more, by net.
    more, above = {}, 0
    for net in sorted(by_net, reverse=True):
        more[net] = above
        above += by_net[net]
    for facts in active:
        above = more[facts.window_net]
        if facts.window_net <= 0:
            facts.abc_class = "C"
        else:
            facts.abc_class = "A" if above < A_SHARE * total else "B" if above < B_SHARE * total else "C"


def set_rfm(active):
    # Of a short recency and of a lot of everything else one has more.
    goods = [
        lambda facts: -facts.recency_days,
        lambda facts: facts.window_orders,
        lambda facts: facts.window_net]
    ordered = [sorted(map(good, active)) for good in goods]
    for facts in active:
        r, f, m = (
            1 + 5 * bisect.bisect_left(values, good(facts)) // len(active) for good, values in zip(goods, ordered))
        facts.rfm_cell = f"{r}{f}{m}"
        facts.rfm_segment = rfm_segment(r, f, m)


def rfm_segment(r, f, m):
    if r >= 4 and f >= 4 and m >= 4:
        return "champions"
    if r >= 3 and f >= 4:
        return "loyal"
    if r >= 4 and f == 1:
        return "new"
    if r >= 3 and f <= 3:
        return "promising"
    if r <= 2 and f >= 4 and m >= 4:
        return "cannot_lose"
    if r <= 2 and f >= 3:
        return "at_risk"
    return "lost" if r == 1 else "other"


# -- calendar periods ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Period:
    """From `start` to before `end`. What compares with the past is absent without a `previous` or `year_before`."""
    start: int
    end: int
    partial: bool
    # The whole calendar periods to compare with, as (start, end): the one before and the same of the year before.
    previous: tuple | None = None
    year_before: tuple | None = None

    def __contains__(self, time):
        return self.start <= time < self.end

    @property
    def fields(self):
        return {"period_start": self.start, "period_end": self.end, "partial": self.partial}


class Calendar:
    """Periods of one length: `day`, `week`, `month`, `quarter` or `year`, in a time zone. Dates are local."""

    def __init__(self, period, time_zone):
        self.period, self.zone = period, zoneinfo.ZoneInfo(time_zone or "UTC")

    def begin(self, date):
        """The first date of the period that contains this one."""
        match self.period:
            case "day":
                return date
            case "week":
                return date - datetime.timedelta(days=date.weekday())
            case "month":
                return date.replace(day=1)
            case "quarter":
                return date.replace(month=1 + (date.month - 1) // 3 * 3, day=1)
            case "year":
                return date.replace(month=1, day=1)

    def before(self, first):
        return self.begin(first - datetime.timedelta(days=1))

    def after(self, first):
        longest = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[self.period]
        return self.begin(first + datetime.timedelta(days=longest))

    def year_before(self, first):
        if self.period == "week":
            return first - datetime.timedelta(weeks=52)
        try:
            return first.replace(year=first.year - 1)
        except ValueError:
            # The day before a year of 29 February.
            return None

    def midnight(self, date):
        """When the day begins. Of a midnight that a clock skips or shows twice, that is the first instant."""
        return (datetime.datetime.combine(date, datetime.time(), self.zone) - EPOCH) // datetime.timedelta(
            microseconds=1)

    def limits(self, first):
        return (self.midnight(first), self.midnight(self.after(first))) if first else None

    def first_at(self, time):
        moment = (EPOCH + datetime.timedelta(microseconds=time)).astimezone(self.zone)
        return self.begin(moment.date())


def periods(from_time, to_time, period, time_zone, now):
    """The calendar periods that overlap [from_time, to_time), cut to it."""
    if period == "all":
        return [Period(from_time, to_time, False)]
    calendar, found = Calendar(period, time_zone), []
    first = calendar.first_at(from_time)
    while (limits := calendar.limits(first))[0] < to_time:
        start, end = max(limits[0], from_time), min(limits[1], to_time)
        # A day that a time zone has left out is empty.
        if start < end:
            partial = (start, end) != limits or end > now
            found.append(
                Period(start, end, True) if partial else
                Period(start, end, False, previous_of(calendar, first), calendar.limits(calendar.year_before(first))))
        first = calendar.after(first)
    return found


def previous_of(calendar, first):
    return calendar.limits(calendar.before(first))


# -- measures of a period --------------------------------------------------------------------------------


METRICS = [
    "customers_total", "buyers", "buyers_once", "buyers_repeat", "never_bought", "never_contacted", "customers_active",
    "customers_new", "customers_lost", "customers_won_back", "customers_retained", "customers_current", "growth_rate",
    "retention_rate", "churn_rate", "repurchase_rate", "revenue", "returns", "net_revenue", "orders",
    "average_order_value", "revenue_per_customer", "revenue_share_top_20", "return_rate", "satisfaction_index",
    "complaint_rate", "complaints_open", "hours_to_first_answer", "hours_to_resolution", "answered_within_sla",
    "lead_conversion_rate", "days_to_conversion", "market_share"]


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A time in which somebody was a current customer. `end` is the loss, rounded down to a microsecond."""
    customer_id: str
    start: int
    end: int | None

    def is_current_at(self, time):
        """What happens at the limit of two periods belongs to the later one."""
        return self.start < time and (self.end is None or self.end >= time)


def stretches(customer, until, typical):
    """What is known of a customer until then, as the times in which it was current."""
    purchases = [each.time for each in customer.of_kind("purchase", until)]
    cancels = [each.time for each in customer.of_kind("cancel", until)]
    found, start, days = [], None, []
    for purchase, following in zip(purchases, [*purchases[1:], None]):
        start = purchase if start is None else start
        if purchase // DAY not in days[-1:]:
            days.append(purchase // DAY)
        # Between two purchases there is at most one loss: at the first cancel, or when the customer is overdue.
        losses = [each for each in cancels if each > purchase and (following is None or each < following)]
        # Limits of periods are whole microseconds, so the fraction of one decides nothing.
        overdue = math.floor(overdue_time(days, typical))
        if overdue <= until if following is None else overdue < following // DAY * DAY:
            losses.append(overdue)
        if losses:
            found.append(Stretch(customer.customer_id, start, min(losses)))
            start = None
    if start is not None:
        found.append(Stretch(customer.customer_id, start, None))
    return found


@dataclasses.dataclass(frozen=True)
class Complaint:
    time: int
    first_answer: int | None
    resolution: int | None


def complaints_of(customer, until):
    history = [each for each in customer.interactions if each.time <= until]
    first_after = lambda time, kinds: min(
        (each.time for each in history if each.time >= time and each.kind in kinds), default=None)
    return [
        Complaint(
            each.time, first_after(each.time, CONTACT_KINDS | {"resolution"}), first_after(each.time, {"resolution"}))
        for each in history if each.kind == "complaint"]


class Slices:
    """Interactions in the order of time, to take those of a period from."""

    def __init__(self, interactions):
        self.interactions = interactions
        self.times = [each.time for each in interactions]

    def between(self, start, end):
        return self.interactions[bisect.bisect_left(self.times, start):bisect.bisect_left(self.times, end)]


class Kpis:
    """`now` is the moment until which outcomes are known; losses rest on the typical interval at `to_time`."""

    def __init__(self, business, from_time, to_time, period, time_zone="", now=None, market_size=None):
        self.now = math.inf if now is None else now
        self.period, self.market_size = period, market_size
        self.calendar = None if period == "all" else Calendar(period, time_zone)
        self.periods = periods(from_time, to_time, period, time_zone, self.now)
        self.measures = functools.cache(self.measures)
        customers = business.customers.values()
        self.begins = sorted(customer.begin for customer in customers)
        self.purchases, self.returns, self.surveys = (
            Slices(business.interactions(kind)) for kind in ("purchase", "return", "survey"))
        purchase_times = {
            customer.customer_id: [each.time for each in customer.of_kind("purchase", self.now)]
            for customer in customers}
        self.first_purchase = {name: times[0] for name, times in purchase_times.items() if times}
        self.second_purchase = {name: times[1] for name, times in purchase_times.items() if len(times) > 1}
        self.first_contact = {}
        for contact in business.interactions(*CONTACT_KINDS):
            self.first_contact.setdefault(contact.customer_id, contact.time)
        # Of all who were leads: when they came, and when they bought if they did.
        self.leads = [
            (customer.begin, first) for customer in customers
            if (first := self.first_purchase.get(customer.customer_id)) is None or customer.begin < first]
        self.complaints = [each for customer in customers for each in complaints_of(customer, self.now)]
        self.typical_interval = Population(business, to_time).typical_interval
        self.stretches = [
            each for customer in customers for each in stretches(customer, to_time, self.typical_interval)]

    def rows(self, metrics=()):
        return [
            self.row(metric, period) for metric in metrics or METRICS for period in self.periods]

    def row(self, metric, period):
        value, numerator, denominator = self.measure(metric, (period.start, period.end))
        return {
            "metric": metric, **period.fields, "value": value, "numerator": numerator, "denominator": denominator,
            "previous_value": self.measure(metric, period.previous)[0] if period.previous else None,
            "year_before_value": self.measure(metric, period.year_before)[0] if period.year_before else None,
        }

    def measure(self, metric, limits):
        """Value, numerator and denominator; the last two are absent unless the metric is a quotient or a mean."""
        found = self.measures(*limits)[metric]
        return (ratio(*found), *found) if isinstance(found, tuple) else (found, None, None)

    def measures(self, start, end):
        return {
            **self.of_customers(start, end), **self.of_money(start, end), **self.of_service(start, end),
            **self.of_leads(start, end)}

    def of_customers(self, start, end):
        before_end = lambda times: sum(time < end for time in times.values())
        total = bisect.bisect_left(self.begins, end)
        buyers, repeat = before_end(self.first_purchase), before_end(self.second_purchase)
        active = self.active(start, end)
        retained, active_before = None, None
        if self.calendar:
            before = self.active(*previous_of(self.calendar, self.calendar.first_at(start)))
            retained, active_before = len(active & before), len(before)
        current_at_start = [each for each in self.stretches if each.is_current_at(start)]
        at_start, at_end = len(current_at_start), sum(each.is_current_at(end) for each in self.stretches)
        inside = lambda time: time is not None and start <= time < end
        begun = [each for each in self.stretches if inside(each.start)]
        new = sum(each.start == self.first_purchase[each.customer_id] for each in begun)
        return {
            "customers_total": total,
            "buyers": buyers,
            "buyers_once": buyers - repeat,
            "buyers_repeat": repeat,
            "never_bought": total - buyers,
            "never_contacted": total - before_end(self.first_contact),
            "customers_active": len(active),
            "customers_new": new,
            "customers_lost": sum(inside(each.end) for each in self.stretches),
            "customers_won_back": len(begun) - new,
            "customers_retained": retained,
            "customers_current": at_end,
            "growth_rate": (at_end - at_start, at_start),
            "retention_rate": (retained, active_before),
            "churn_rate": (sum(inside(each.end) for each in current_at_start), at_start),
            "repurchase_rate": (sum(self.second_purchase.get(each, math.inf) < end for each in active), len(active)),
            "market_share": (at_end if self.market_size else None, self.market_size),
        }

    def active(self, start, end):
        return {each.customer_id for each in self.purchases.between(start, end)}

    def of_money(self, start, end):
        purchases = self.purchases.between(start, end)
        by_customer = collections.Counter()
        for each in purchases:
            by_customer[each.customer_id] += each.money
        revenue, orders = by_customer.total(), len(purchases)
        returns = sum(each.money for each in self.returns.between(start, end))
        best_fifth = sorted(by_customer.values(), reverse=True)[:math.ceil(Fraction(len(by_customer), 5))]
        return {
            "revenue": revenue,
            "returns": returns,
            "net_revenue": revenue - returns,
            "orders": orders,
            "average_order_value": (revenue, orders),
            "revenue_per_customer": (revenue, len(by_customer)),
            "revenue_share_top_20": (sum(best_fifth), revenue),
            "return_rate": (returns, revenue),
        }

    def of_service(self, start, end):
        surveys = [
            each.satisfaction for each in self.surveys.between(start, end) if each.satisfaction is not None]
        inside = lambda time: time is not None and start <= time < end
        made = [each for each in self.complaints if inside(each.time)]
        judged = [each for each in made if each.time + SLA <= self.now]
        in_time = [
            each for each in judged if each.first_answer is not None and each.first_answer <= each.time + SLA]
        answered = [each.first_answer - each.time for each in self.complaints if inside(each.first_answer)]
        resolved = [each.resolution - each.time for each in self.complaints if inside(each.resolution)]
        still_open = [
            each for each in self.complaints
            if each.time < end and (each.resolution is None or each.resolution >= end)]
        return {
            "satisfaction_index": (math.fsum(surveys), len(surveys)),
            "complaint_rate": (len(made), len(self.purchases.between(start, end))),
            "complaints_open": len(still_open),
            "hours_to_first_answer": (sum(answered) / HOUR, len(answered)),
            "hours_to_resolution": (sum(resolved) / HOUR, len(resolved)),
            "answered_within_sla": (len(in_time), len(judged)),
        }

    def of_leads(self, start, end):
        judged = [
            (begin, first) for begin, first in self.leads if start <= begin < end and begin + LEAD_HORIZON <= self.now]
        converted = [begin for begin, first in judged if first is not None and first <= begin + LEAD_HORIZON]
        times = [first - begin for begin, first in self.leads if first is not None and start <= first < end]
        return {
            "lead_conversion_rate": (len(converted), len(judged)),
            "days_to_conversion": (sum(times) / DAY, len(times)),
        }


# -- sales by period and dimension -----------------------------------------------------------------------


class Sales:
    """The value "" is that of interactions without the channel or property and of customers without the attribute."""

    def __init__(
            self, business, from_time, to_time, period, time_zone="", dimension="", max_values=0, now=math.inf):
        self.business, self.dimension = business, dimension
        self.periods = periods(from_time, to_time, period, time_zone, now)
        self.whole = Period(from_time, to_time, False)
        self.moves = Slices(business.interactions("purchase", "return"))
        self.cells = functools.cache(self.cells)
        by_revenue = sorted(
            self.cells(from_time, to_time).items(), key=lambda item: (-item[1].revenue, item[0]))
        self.named = {value for value, _ in by_revenue[:max_values or 100]}

    def value_of(self, interaction):
        if self.dimension == "":
            return ""
        if self.dimension == "channel":
            return interaction.channel
        kind, _, name = self.dimension.partition(":")
        if kind == "property":
            return interaction.properties.get(name, "")
        value = self.business.customers[interaction.customer_id].attributes_at(interaction.time).get(name)
        return "" if value is None else attribute_text(value)

    def cells(self, start, end):
        """The money of each value that has some."""
        cells = collections.defaultdict(Cell)
        for interaction in self.moves.between(start, end):
            cells[self.value_of(interaction)].add(interaction)
        return cells

    def named_and_others(self, limits):
        """By (is_other, value)."""
        merged = collections.defaultdict(Cell)
        for value, cell in self.cells(*limits).items() if limits else ():
            merged[(False, value) if value in self.named else (True, "")].join(cell)
        return merged

    def rows(self):
        return [row for period in self.periods for row in self.rows_of(period)]

    def rows_of(self, period):
        now = self.named_and_others((period.start, period.end))
        if self.dimension == "":
            # Without a dimension there is a row for every period.
            now = {(False, ""): now[False, ""]}
        previous, year_before = self.named_and_others(period.previous), self.named_and_others(period.year_before)
        return [
            {**period.fields, "value": value, "is_other": is_other,
             **cell.fields(previous.get((is_other, value)), year_before.get((is_other, value)))}
            for (is_other, value), cell in now.items()]

    def all_together(self, limits):
        cell = Cell()
        for each in self.cells(*limits).values() if limits else ():
            cell.join(each)
        return cell

    def period_totals(self):
        return [self.total_of(period) for period in self.periods]

    def total(self):
        return self.total_of(self.whole)

    def total_of(self, period):
        fields = self.all_together((period.start, period.end)).fields(
            self.all_together(period.previous), self.all_together(period.year_before))
        return {**period.fields, "value": "", "is_other": False, **fields}


class Cell:
    def __init__(self):
        self.revenue, self.returns, self.orders, self.customers = 0, 0, 0, set()

    def add(self, interaction):
        if interaction.kind == "return":
            self.returns += interaction.money
        else:
            self.revenue += interaction.money
            self.orders += 1
            self.customers.add(interaction.customer_id)

    def join(self, other):
        self.revenue += other.revenue
        self.returns += other.returns
        self.orders += other.orders
        self.customers |= other.customers

    def fields(self, previous, year_before):
        return {
            "revenue_minor": self.revenue,
            "returns_minor": self.returns,
            "orders": self.orders,
            "customers": len(self.customers),
            "growth_previous": growth(self.revenue, previous.revenue) if previous else None,
            "growth_year_before": growth(self.revenue, year_before.revenue) if year_before else None,
        }


# -- cohorts and campaigns -------------------------------------------------------------------------------


def cohorts(business, from_time, to_time, period, time_zone="", now=math.inf):
    """Who bought for the first time in a period, and what they did in it and in those after."""
    # A period that has not begun by now has nothing to tell.
    all_periods = [each for each in periods(from_time, to_time, period, time_zone, now) if each.start < now]
    moves = Slices(business.interactions("purchase", "return"))
    first_purchase = {}
    for each in business.interactions("purchase"):
        first_purchase.setdefault(each.customer_id, each.time)
    rows = []
    for number, cohort in enumerate(all_periods):
        members = {customer_id for customer_id, first in first_purchase.items() if first in cohort}
        for index, later in enumerate(all_periods[number:]):
            inside = [each for each in moves.between(later.start, later.end) if each.customer_id in members]
            purchases = [each for each in inside if each.kind == "purchase"]
            active = {each.customer_id for each in purchases}
            rows.append({
                "cohort_start": cohort.start,
                "period_index": index,
                "period_start": later.start,
                "partial": later.partial,
                "customers": len(members),
                "active": len(active),
                "retention": ratio(len(active), len(members)),
                "revenue_minor": sum(each.money for each in purchases),
                "returns_minor": sum(each.money for each in inside if each.kind == "return"),
            })
    return rows


def campaigns(business, from_time, to_time, window_days=0, now=math.inf):
    """Whom a campaign (the property `campaign` of what is neither a purchase nor a return) has reached, and who then
    bought within the window after it first did so."""
    window = (window_days or 30) * DAY
    reached = collections.defaultdict(dict)
    for customer in business.customers.values():
        for each in customer.interactions:
            campaign = each.properties.get("campaign")
            if campaign and each.kind not in ("purchase", "return"):
                reached[campaign].setdefault(customer.customer_id, each.time)
    within = {
        campaign: {customer: time for customer, time in first.items() if from_time <= time < to_time}
        for campaign, first in reached.items()}
    return [campaign_row(business, name, within[name], window, now) for name in sorted(within) if within[name]]


def campaign_row(business, campaign, reached, window, now):
    judged = converted = revenue = 0
    for customer_id, time in reached.items():
        if time + window > now:
            continue
        purchases = [
            each.money for each in business.customers[customer_id].of_kind("purchase", time + window)
            if each.time > time]
        revenue += sum(purchases)
        judged += 1
        converted += bool(purchases)
    return {
        "campaign": campaign,
        "reached": len(reached),
        "judged": judged,
        "converted": converted,
        "conversion_rate": ratio(converted, judged),
        "revenue_minor": revenue,
        "revenue_per_reached_minor": ratio(revenue, judged),
    }
