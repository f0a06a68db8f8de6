"""The scoring server that a data team would write: grpcio and scikit-learn, features in memory.

    scoring_server.py sync|aio PORT CUSTOMERS

Answers PredictChurn with the same message as Tally, with three reasons. Its model is a logistic
regression on 40 standard normal features, and each customer's row is ready in a dictionary. So it does
less than Tally: it computes no features and no interval.
"""

import asyncio
import concurrent.futures
import math
import pathlib
import subprocess
import sys
import tempfile

import grpc
import numpy as np
from sklearn.linear_model import LogisticRegression

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
FEATURES = 40
REASONS = 3


def generated():
    """The modules of the contract, generated into a temporary folder."""
    folder = tempfile.mkdtemp()
    protos = [str(path.relative_to(PROTO)) for path in PROTO.glob("**/*.proto")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={folder}",
         f"--grpc_python_out={folder}", *protos], check=True, cwd=PROTO)
    sys.path.insert(0, folder)
    from tally.v1 import scoring_pb2, scoring_pb2_grpc
    return scoring_pb2, scoring_pb2_grpc


def learned(customers):
    random = np.random.default_rng(1)
    rows = random.standard_normal((customers, FEATURES))
    labels = random.random(customers) < 1 / (1 + np.exp(-rows @ random.standard_normal(FEATURES) / 3))
    model = LogisticRegression().fit(rows, labels)
    return model, {f"C{n:05}": row for n, row in enumerate(rows)}


def main():
    kind, port, customers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pb, services = generated()
    model, features = learned(customers)
    weights = model.coef_[0]

    def score(request):
        row = features[request.customer_id]
        probability = float(model.predict_proba(row[None, :])[0, 1])
        contributions = row * weights
        strongest = np.argsort(-np.abs(contributions))[:REASONS]
        reply = pb.Score(
            customer_id=request.customer_id, target=2, probability=probability, lower=probability * 0.9,
            upper=math.sqrt(probability), grade=1 + int(probability * 3.99), basis=1,
            base_log_odds=float(model.intercept_[0]), model="churn/1", as_of_time=request.as_of_time,
            known_time=request.as_of_time, horizon_days=90)
        for place in strongest:
            reason = reply.reasons.add(
                feature=f"purchase.feature_{place}", contribution=float(contributions[place]),
                text=f"Feature {place} is {row[place]:.1f}; typical is 0.0")
            reason.value.number_value = row[place]
            reason.baseline.number_value = 0.0
        return reply

    if kind == "sync":
        class Sync(services.ScoringServiceServicer):
            def PredictChurn(self, request, context):
                return score(request)

        server = grpc.server(concurrent.futures.ThreadPoolExecutor())
        services.add_ScoringServiceServicer_to_server(Sync(), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        print("ready", flush=True)
        server.wait_for_termination()
    else:
        class Aio(services.ScoringServiceServicer):
            async def PredictChurn(self, request, context):
                return score(request)

        async def serve():
            server = grpc.aio.server()
            services.add_ScoringServiceServicer_to_server(Aio(), server)
            server.add_insecure_port(f"127.0.0.1:{port}")
            await server.start()
            print("ready", flush=True)
            await server.wait_for_termination()

        asyncio.run(serve())


main()
