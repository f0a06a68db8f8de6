"""The main calls by a client that knows the contract by reflection alone, as grpcurl does, compressed with gzip."""

import os
import time

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(os.environ["ADDRESS"], compression=grpc.Compression.Gzip)
database = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(database)


def message(descriptor, json):
    return json_format.ParseDict(json, message_factory.GetMessageClass(descriptor)(), descriptor_pool=pool)


def call(name, *requests):
    """Calls a method with JSON; returns the messages that come back, as JSON."""
    service, _, method = name.partition("/")
    found = pool.FindServiceByName(service).FindMethodByName(method)
    answer = message_factory.GetMessageClass(found.output_type)
    caller = channel.stream_stream(
        f"/{name}", request_serializer=lambda sent: sent.SerializeToString(), response_deserializer=answer.FromString
    )
    answers = caller(iter([message(found.input_type, request) for request in requests]))
    return [json_format.MessageToDict(found, descriptor_pool=pool) for found in answers]


def refused(name, request):
    """The code of a refusal and its ErrorInfo as JSON."""
    try:
        call(name, request)
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        packed = next(d for d in status_pb2.Status.FromString(details).details if d.type_url.endswith("ErrorInfo"))
        info = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.ErrorInfo"))
        return error.code(), json_format.MessageToDict(info.FromString(packed.value))
    raise AssertionError(f"{name} is not refused")


def visits(*numbers):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))
    same = {"customer_id": "reflection", "kind": "visit", "occur_time": at}
    return {"interactions": [{**same, "interaction_id": f"visit-{number}"} for number in numbers]}


services = set(database.get_services())
assert {"grpc.health.v1.Health", "tally.v1.CustomerService", "tally.v1.ScoringService"} <= services, services
assert call("grpc.health.v1.Health/Check", {}) == [{"status": "SERVING"}]
attributes = {"plan": "pro", "seats": 5.0}
customer = {"customer_id": "reflection", "attributes": attributes}
assert call("tally.v1.CustomerService/UpsertCustomers", {"customers": [customer]}) == [{"upserted": "1"}]
[stored] = call("tally.v1.CustomerService/GetCustomer", {"customer_id": "reflection"})
assert stored["customer"]["attributes"] == attributes
assert call("tally.v1.InteractionService/RecordInteractions", visits(*range(100))) == [{"recorded": "100"}]
streamed = call("tally.v1.InteractionService/StreamInteractions", visits(100), visits(101))
assert streamed == [{"recorded": "1"}, {"recorded": "1"}]
[listed] = call("tally.v1.InteractionService/ListInteractions", {"customer_id": "reflection"})
assert len(listed["interactions"]) == 100
churn = {"target": "TARGET_CHURN", "page_size": 1_000}
[listed] = call("tally.v1.PredictionService/ListPredictions", churn)
buyer = listed["predictions"][0]["customerId"]
[score] = call("tally.v1.ScoringService/PredictChurn", {"customer_id": buyer})
assert 0 < score["probability"] < 1
exported = call("tally.v1.PredictionService/ExportPredictions", {"target": "TARGET_CHURN"})
assert sum(len(message["predictions"]) for message in exported) == len(listed["predictions"])

code, info = refused("tally.v1.ScoringService/ScoreLead", {"customer_id": "nobody"})
assert (code, info["reason"]) == (grpc.StatusCode.NOT_FOUND, "CUSTOMER_NOT_FOUND")
assert info["metadata"]["customer_id"] == "nobody", info
code, info = refused("tally.v1.ScoringService/ScoreLead", {"customer_id": buyer})
assert (code, info["reason"]) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_A_LEAD")
