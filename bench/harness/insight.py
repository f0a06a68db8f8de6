"""Insight: passes, lists and reports, on a business of 100,000 customers and 5 million interactions in PostgreSQL."""

import statistics
import sys
import time

import world
from measure import against, alone, in_turn
from world import END, TALLY, WORK, Postgres, run, tally_server

# Half of the usual period, so that a customer has some 50 interactions.
DAYS = 1_000
# Reports are about the two years before the end.
FROM = "2024-01-01T00:00:00Z"
SEGMENTATIONS = ["abc", "rfm", "rfm_cell", "life_cycle", "value_loyalty"]
CALLS = 40


class Client:
    """A typed client of InsightService; the modules are generated from the contract."""

    def __init__(self, address):
        folder = WORK / f"stubs-{world.digest((world.ROOT / 'proto').glob('**/*.proto'))}"
        if not folder.exists():
            folder.mkdir()
            names = [path.relative_to(world.ROOT / "proto") for path in (world.ROOT / "proto").glob("**/*.proto")]
            command = [world.PYTHON, "-m", "grpc_tools.protoc", "-I.", f"--python_out={folder}", f"--grpc_python_out={folder}"]
            run(*command, *names, cwd=world.ROOT / "proto")
        sys.path.insert(0, str(folder))
        import grpc
        from google.protobuf.timestamp_pb2 import Timestamp
        from tally.v1 import forecast_pb2, insight_pb2, insight_pb2_grpc, value_pb2, worklist_pb2

        self.messages = insight_pb2
        self.value, self.forecast, self.worklist = value_pb2, forecast_pb2, worklist_pb2
        self.stub = insight_pb2_grpc.InsightServiceStub(grpc.insecure_channel(address))
        self._timestamp = Timestamp

    def moment(self, text):
        time = self._timestamp()
        time.FromJsonString(text)
        return time

    def range(self):
        return {"from_time": self.moment(FROM), "to_time": self.moment(END)}


def insight(scale):
    customers = 2 * scale.customers
    with Postgres() as postgres:
        full = world.business(postgres, customers, DAYS)
        postgres.copy(full, "scratch")
        try:
            with tally_server(postgres.url("scratch")) as tally:
                yield from passes(tally, customers)
                client = Client(tally.address)
                yield from value(client)
                yield from lists(client, "after a pass")
                # Two passes more, as after some days of a nightly refresh.
                for day in ("2025-12-30", "2025-12-31"):
                    refresh(tally, customers, f"{day}T00:00:00Z")
                yield from lists(client, "after three more passes")
                yield from reports(postgres, "scratch", client)
                yield alone("insight: peak memory of the server", "MB", [tally.memory("VmHWM") / 1e6], at_most=268)
        finally:
            postgres.drop("scratch")


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def client_seconds(tally, *arguments):
    return seconds(lambda: run(TALLY / "tally", "--server", f"http://{tally.address}", *arguments))


def refresh(tally, customers, as_of=END):
    return client_seconds(tally, "insights", "refresh", "--as-of", as_of)


def passes(tally, customers):
    def both():
        return sum(client_seconds(tally, "score-all", target, "--as-of", END) for target in ("lead", "churn"))

    both()
    pairs = in_turn(lambda: refresh(tally, customers), both)
    what = f"a pass of {customers:,} customers vs ScorePopulation of both targets"
    yield against(what, "s", pairs, at_most=1.5)


def value(client):
    stub = client.stub
    request = client.value.GetValueModelRequest()
    model = stub.GetValueModel(request)
    what = f"fit of the value model to {model.bg_nbd.customers:,} buyers"
    yield alone(what, "s", [model.fit_seconds], at_most=5)
    yield alone("GetValueModel, with its backtest", "s", [seconds(lambda: stub.GetValueModel(request)) for _ in range(3)])
    forecast = client.forecast.GetForecastRequest()
    yield alone("GetForecast, with its backtest", "s", [seconds(lambda: stub.GetForecast(forecast)) for _ in range(3)])


def median_ms(call):
    call()
    return statistics.median(seconds(call) for _ in range(CALLS)) * 1e3


def lists(client, when):
    messages, stub = client.messages, client.stub
    times = {}
    for segmentation in SEGMENTATIONS:
        request = messages.ListSegmentsRequest(segmentation=segmentation)
        found = stub.ListSegments(request).segments
        times[f"{segmentation}"] = median_ms(lambda: stub.ListSegments(request))
        for segment in (found[0].segment, found[-1].segment):
            members = messages.ListSegmentMembersRequest(segmentation=segmentation, segment=segment, page_size=100)
            times[f"{segmentation}/{segment}"] = median_ms(lambda: stub.ListSegmentMembers(members))
    world.say(", ".join(f"{name} {value:.1f} ms" for name, value in times.items()))
    lists = [value for name, value in times.items() if "/" not in name]
    members = [value for name, value in times.items() if "/" in name]
    yield alone(f"ListSegments {when}, medians of the segmentations", "ms", lists, at_most=20)
    yield alone(f"ListSegmentMembers {when}, medians of the segments", "ms", members, at_most=20)
    by_region = messages.ListSegmentsRequest(segmentation="attribute:region")
    yield alone(f"ListSegments by an attribute {when}", "ms", [median_ms(lambda: stub.ListSegments(by_region))])
    work = client.worklist.ListWorklistRequest()
    yield alone(f"ListWorklist {when}", "ms", [median_ms(lambda: stub.ListWorklist(work))], at_most=20)


SALES = f"""
SELECT month, channel, sum(amount_minor) FILTER (WHERE kind = 'purchase'), sum(amount_minor) FILTER (WHERE kind = 'return'),
       count(*) FILTER (WHERE kind = 'purchase'), count(DISTINCT customer_id) FILTER (WHERE kind = 'purchase')
FROM (SELECT date_trunc('month', occur_time AT TIME ZONE 'UTC') AS month, channel, kind, amount_minor, customer_id
      FROM interactions WHERE kind IN ('purchase', 'return') AND occur_time >= '{FROM}' AND occur_time < '{END}') AS sales
GROUP BY GROUPING SETS ((month, channel), (month), ())"""

COHORTS = f"""
WITH bought AS (
    SELECT customer_id, date_trunc('month', occur_time AT TIME ZONE 'UTC') AS month, amount_minor, kind
    FROM interactions WHERE kind IN ('purchase', 'return') AND occur_time < '{END}'),
firsts AS (SELECT customer_id, min(month) AS cohort FROM bought WHERE kind = 'purchase' GROUP BY 1)
SELECT cohort, month, count(DISTINCT customer_id) FILTER (WHERE kind = 'purchase'),
       sum(amount_minor) FILTER (WHERE kind = 'purchase'), sum(amount_minor) FILTER (WHERE kind = 'return')
FROM bought JOIN firsts USING (customer_id) WHERE cohort >= '{FROM[:10]}' GROUP BY 1, 2"""

# Only what one statement can say: money, orders, active customers, complaints and satisfaction. Losses, win-backs, answers
# and conversions are not in it.
KPIS = f"""
SELECT date_trunc('month', occur_time AT TIME ZONE 'UTC') AS month,
       sum(amount_minor) FILTER (WHERE kind = 'purchase'), sum(amount_minor) FILTER (WHERE kind = 'return'),
       count(*) FILTER (WHERE kind = 'purchase'), count(DISTINCT customer_id) FILTER (WHERE kind = 'purchase'),
       count(*) FILTER (WHERE kind = 'complaint'),
       avg((properties ->> 'score')::float8 / (properties ->> 'expected')::float8) FILTER (WHERE kind = 'survey')
FROM interactions WHERE occur_time < '{END}' GROUP BY 1"""

CAMPAIGNS = """
WITH reached AS (
    SELECT customer_id, properties ->> 'campaign' AS campaign, min(occur_time) AS time FROM interactions
    WHERE kind NOT IN ('purchase', 'return') AND properties ->> 'campaign' IS NOT NULL GROUP BY 1, 2)
SELECT campaign, count(DISTINCT reached.customer_id), count(DISTINCT i.customer_id), sum(i.amount_minor)
FROM reached LEFT JOIN interactions AS i ON i.customer_id = reached.customer_id AND i.kind = 'purchase'
     AND i.occur_time > reached.time AND i.occur_time <= reached.time + interval '30 days'
GROUP BY 1"""


def reports(postgres, database, client):
    messages, stub = client.messages, client.stub
    month = messages.PERIOD_MONTH

    def psql(statement):
        return seconds(lambda: postgres.psql(database, f"COPY ({statement}) TO STDOUT"))

    calls = {
        "GetSalesReport by month and channel": (SALES, lambda: stub.GetSalesReport(
            messages.GetSalesReportRequest(period=month, dimension="channel", **client.range()))),
        "GetCohorts by month": (COHORTS, lambda: stub.GetCohorts(
            messages.GetCohortsRequest(period=month, **client.range()))),
        "GetKpis by month, all of them": (KPIS, lambda: stub.GetKpis(
            messages.GetKpisRequest(period=month, **client.range()))),
        "GetCampaigns": (CAMPAIGNS, lambda: stub.GetCampaigns(messages.GetCampaignsRequest())),
    }
    for what, (statement, call) in calls.items():
        call()
        psql(statement)
        pairs = in_turn(lambda: seconds(call), lambda: psql(statement))
        yield against(f"{what} vs SQL in psql", "s", pairs, at_most=2)
