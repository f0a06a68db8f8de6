"""The main calls with grpcio and generated classes, compressed with gzip."""

import glob
import os
import sys
import time

import grpc
import grpc_tools
from google.protobuf import timestamp_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from grpc_tools import protoc

PROTO, FOLDER = os.environ["PROTO"], os.environ["FOLDER"]
sources = sorted(glob.glob(f"{PROTO}/tally/v1/*.proto"))
well_known = f"{os.path.dirname(grpc_tools.__file__)}/_proto"
options = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={FOLDER}", f"--grpc_python_out={FOLDER}"]
assert protoc.main(["protoc", *options, *sources]) == 0
sys.path.insert(0, FOLDER)

from tally.v1 import common_pb2, customer_pb2, customer_pb2_grpc, interaction_pb2, interaction_pb2_grpc  # noqa: E402
from tally.v1 import prediction_pb2, prediction_pb2_grpc, scoring_pb2, scoring_pb2_grpc  # noqa: E402

channel = grpc.insecure_channel(os.environ["ADDRESS"], compression=grpc.Compression.Gzip)
customers = customer_pb2_grpc.CustomerServiceStub(channel)
interactions = interaction_pb2_grpc.InteractionServiceStub(channel)
predictions = prediction_pb2_grpc.PredictionServiceStub(channel)
scoring = scoring_pb2_grpc.ScoringServiceStub(channel)


def refused(call, code, reason):
    """Asserts that a call is refused; returns the metadata of its ErrorInfo."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        info = error_details_pb2.ErrorInfo()
        details = [detail for detail in rpc_status.from_call(error).details if detail.Unpack(info)]
        assert details and info.reason == reason, error
        return dict(info.metadata)
    raise AssertionError(f"not refused with {reason}")


def interaction(number):
    at = timestamp_pb2.Timestamp(seconds=int(time.time()) - 3_600 + number)
    key = {"customer_id": "grpcio", "interaction_id": f"visit-{number}"}
    return interaction_pb2.Interaction(**key, kind="visit", occur_time=at, channel="web")


health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
assert health.status == health_pb2.HealthCheckResponse.SERVING

customer = customer_pb2.Customer(customer_id="grpcio", name="Ada")
customer.attributes.update({"plan": "pro", "seats": 5, "trial": False})
assert customers.UpsertCustomers(customer_pb2.UpsertCustomersRequest(customers=[customer])).upserted == 1
stored = customers.GetCustomer(customer_pb2.GetCustomerRequest(customer_id="grpcio")).customer
assert dict(stored.attributes) == {"plan": "pro", "seats": 5.0, "trial": False}

request = interaction_pb2.RecordInteractionsRequest(interactions=[interaction(n) for n in range(100)])
assert interactions.RecordInteractions(request).recorded == 100
batches = (interaction_pb2.RecordInteractionsRequest(interactions=[interaction(100 + n)]) for n in range(3))
assert [answer.recorded for answer in interactions.StreamInteractions(batches)] == [1, 1, 1]
request = interaction_pb2.ListInteractionsRequest(customer_id="grpcio", page_size=1_000)
assert len(interactions.ListInteractions(request).interactions) == 103

request = prediction_pb2.ListPredictionsRequest(target=common_pb2.TARGET_CHURN, page_size=1_000)
listed = predictions.ListPredictions(request).predictions
buyers = [prediction.customer_id for prediction in listed]
score = scoring.PredictChurn(scoring_pb2.PredictChurnRequest(customer_id=buyers[0]))
assert 0 < score.lower <= score.probability <= score.upper < 1
ids = [*buyers, "nobody"]
results = scoring.BatchPredictChurn(scoring_pb2.BatchPredictChurnRequest(customer_ids=ids)).results
assert [result.WhichOneof("result") for result in results] == ["score"] * len(buyers) + ["status"]
request = prediction_pb2.ExportPredictionsRequest(target=common_pb2.TARGET_CHURN)
assert sum(len(message.predictions) for message in predictions.ExportPredictions(request)) == len(buyers)

lead = lambda id: lambda: scoring.ScoreLead(scoring_pb2.ScoreLeadRequest(customer_id=id))  # noqa: E731
not_found, precondition = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION
assert refused(lead("nobody"), not_found, "CUSTOMER_NOT_FOUND")["customer_id"] == "nobody"
assert refused(lead(buyers[0]), precondition, "NOT_A_LEAD")["customer_id"] == buyers[0]
assert refused(lead(""), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == {"field": "customer_id"}
