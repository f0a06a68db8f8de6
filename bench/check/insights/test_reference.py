"""Checks the reference by an example of five customers that was computed by hand: `python3 test_reference.py`."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import reference
from reference import microseconds

CUSTOMERS = """\
customer_id,create_time,country,wallet_minor
ann,2024-05-01,DE,160000
bob,2024-01-01,FR,
cid,2024-06-01,DE,
dee,2024-06-01,,
eve,2023-03-01,FR,
"""

INTERACTIONS = """\
interaction_id,customer_id,kind,occur_time,amount,channel,discount_percent,referred_customer_id
1,ann,purchase,2024-05-01T10:00:00Z,100.00,web,,
2,ann,purchase,2024-05-31T10:00:00Z,200.00,shop,,
3,ann,purchase,2024-06-20T10:00:00Z,500.00,web,,
4,ann,referral,2024-05-20T10:00:00Z,,,,cid
5,bob,purchase,2024-01-01T10:00:00Z,180.00,web,,
6,bob,purchase,2024-02-05T10:00:00Z,20.00,web,,
7,bob,return,2024-02-10T10:00:00Z,10.00,web,,
8,cid,purchase,2024-06-01T10:00:00Z,10.00,web,10,
9,dee,call,2024-06-02T10:00:00Z,,,,
10,eve,purchase,2023-03-01T10:00:00Z,50.00,web,,
"""

AS_OF = microseconds("2024-07-01")


def example():
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("customers.csv", "interactions.csv")]
        for file, text in zip(files, (CUSTOMERS, INTERACTIONS)):
            file.write_text(text)
        return reference.read(*files)


class AtAMoment(unittest.TestCase):
    def setUp(self):
        self.population = reference.Population(example(), AS_OF)
        self.customer = self.population.customer

    def of_all(self, field):
        return [self.customer(name)[field] for name in ("ann", "bob", "cid", "dee", "eve")]

    def test_the_typical_interval_is_the_median_of_25_and_35_days(self):
        self.assertEqual(self.population.typical_interval, 30)

    def test_intervals_and_life_cycle(self):
        self.assertEqual(self.of_all("expected_interval_days"), [80 / 3, 32.5, 30, None, 30])
        self.assertEqual(self.of_all("overdue_ratio"), [11 / (80 / 3), 147 / 32.5, 1, None, 488 / 30])
        self.assertEqual(self.of_all("life_cycle"), ["growing", "lost", "new", "lead", "lost"])

    def test_the_customer_at_whom_80_percent_are_reached_is_the_last_of_class_a(self):
        # 800, 190 and 10 of 1,000: exactly 80 % lie above the second.
        self.assertEqual(self.of_all("abc_class"), ["A", "B", "C", "none", "none"])

    def test_scores_and_segments_of_rfm(self):
        self.assertEqual(self.of_all("rfm_cell"), ["444", "122", "211", "none", "none"])
        self.assertEqual(self.of_all("rfm_segment"), ["champions", "lost", "other", "none", "none"])

    def test_loyalty(self):
        self.assertEqual(self.of_all("loyalty_points"), [80, 40, 20, 0, 40])
        self.assertEqual(self.of_all("value_loyalty"), ["high", "low", "low", "none", "none"])

    def test_other_facts(self):
        ann, dee = self.customer("ann"), self.customer("dee")
        self.assertEqual([ann["revenue_minor"], ann["share_of_wallet"], ann["referrals_bought"]], [80_000, 0.5, 1])
        self.assertEqual([dee["completeness"], dee["missing_attributes"]], [0, ["country"]])
        self.assertEqual(dee["last_contact_time"], microseconds("2024-06-02T10:00:00Z"))

    def test_segments_hold_all_money_of_the_window(self):
        rows = {row["segment"]: row for row in self.population.segments("attribute:country")}
        self.assertEqual([rows[name]["customers"] for name in ("DE", "FR", "")], [2, 2, 1])
        self.assertEqual([rows[name]["revenue_minor"] for name in ("DE", "FR", "")], [81_000, 20_000, 0])
        # FR brought 190 after 50 in the window before.
        self.assertEqual([rows[name]["growth"] for name in ("DE", "FR", "")], [None, 2.8, None])

    def test_transitions(self):
        earlier = reference.Population(example(), microseconds("2024-05-01"))
        found = [tuple(row.values()) for row in self.population.transitions_from(earlier, "life_cycle")]
        # Ann bought later on that day. Of Bob 86 days had passed, 35 were expected, since his interval alone was known.
        self.assertEqual(found, [
            (False, "declining", "lost", 1), (False, "lead", "growing", 1), (False, "lost", "lost", 1),
            (True, "", "lead", 1), (True, "", "new", 1)])


def shop(baskets):
    """A business with so many customers for each basket; one letter is one value."""
    lines, number = ["interaction_id,customer_id,kind,occur_time,amount,channel,category"], 0
    for basket, customers in baskets.items():
        for _ in range(customers):
            number += 1
            lines += [f"{value},c{number},purchase,2024-03-01T10:00:00Z,1.00,web,{value}" for value in basket]
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("customers.csv", "interactions.csv")]
        for file, text in zip(files, ("customer_id,create_time\n", "\n".join(lines))):
            file.write_text(text)
        return reference.Population(reference.read(*files), AS_OF)


class Affinities(unittest.TestCase):
    def test_the_interval_is_the_published_one(self):
        # Newcombe 1998, table I, method 3.
        found = [round(reference.lower_end(*of), 4) for of in ((81, 263), (15, 148), (0, 20), (1, 29))]
        self.assertEqual(found, [0.2553, 0.0624, 0, 0.0061])

    def test_ten_customers_are_enough(self):
        pairs = lambda population: [
            (row["from_value"], row["to_value"]) for row in population.affinities("category")]
        self.assertEqual(pairs(shop({"ab": 9, "c": 50})), [])
        self.assertEqual(pairs(shop({"ab": 10, "c": 50})), [("a", "b"), ("b", "a")])
        self.assertEqual(pairs(shop({"ab": 10})), [])

    def test_what_is_next(self):
        population = shop({"abc": 10, "ab": 10, "d": 50})
        # The last customer but those of d has not bought c; a and b say the same of it.
        next_to_buy, = population.next_to_buy("c20")
        self.assertEqual([next_to_buy["value"], next_to_buy["because"]], ["c", "a"])
        self.assertEqual(population.next_to_buy("c1"), [])


class ByPeriod(unittest.TestCase):
    def kpis(self, metric):
        kpis = reference.Kpis(
            example(), microseconds("2024-05-01"), AS_OF, "month", now=AS_OF)
        return [row["value"] for row in kpis.rows([metric])]

    def test_customers_come_and_go(self):
        # Bob is lost on 12 May at noon.
        self.assertEqual(self.kpis("customers_lost"), [1, 0])
        self.assertEqual(self.kpis("customers_new"), [1, 1])
        self.assertEqual(self.kpis("customers_current"), [1, 2])
        self.assertEqual(self.kpis("churn_rate"), [1, 0])
        self.assertEqual(self.kpis("retention_rate"), [None, 1])

    def test_a_lead_is_judged_once_its_30_days_are_over(self):
        # Dee; Cid came at midnight and bought ten hours later, Ann likewise in May.
        self.assertEqual(self.kpis("lead_conversion_rate"), [1, 0.5])

    def test_sales_by_channel(self):
        sales = reference.Sales(
            example(), microseconds("2024-05-01"), AS_OF, "month", dimension="channel", max_values=1)
        found = [
            (row["value"], row["is_other"], row["revenue_minor"], row["growth_previous"]) for row in sales.rows()]
        self.assertEqual(found, [
            ("web", False, 10_000, None), ("", True, 20_000, None), ("web", False, 51_000, 4.1)])
        self.assertEqual(sales.total()["customers"], 2)

    def test_days_follow_the_clock_of_the_time_zone(self):
        begin, end = microseconds("2024-03-30T23:00:00Z"), microseconds("2024-04-02T12:00:00Z")
        days = reference.periods(begin, end, "day", "Europe/Berlin", now=AS_OF)
        self.assertEqual([(day.end - day.start) // reference.HOUR for day in days], [23, 24, 14])
        self.assertEqual([day.partial for day in days], [False, False, True])

    def test_29_february_has_no_year_before(self):
        day, = reference.periods(microseconds("2024-02-29"), microseconds("2024-03-01"), "day", "", now=AS_OF)
        self.assertIsNone(day.year_before)
        self.assertEqual(day.previous, (microseconds("2024-02-28"), microseconds("2024-02-29")))


if __name__ == "__main__":
    unittest.main()
