// The main calls with grpc-js and proto-loader, compressed with gzip, and the mistake with Struct that is easily made.
"use strict";

const assert = require("node:assert/strict");
const { promisify } = require("node:util");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const proto = process.env.PROTO;
const services = ["customer", "interaction", "prediction", "scoring"].map((name) => `tally/v1/${name}.proto`);
const definition = loader.loadSync(services, { includeDirs: [proto], longs: Number, defaults: true, oneofs: true });
const { tally } = grpc.loadPackageDefinition(definition);
const options = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };

// The details of errors, which grpc-js leaves as bytes.
const root = new protobuf.Root();
root.resolvePath = (_, file) => (file.startsWith("google/protobuf") ? file : path.join(proto, file));
root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);
const [Status, ErrorInfo] = ["google.rpc.Status", "google.rpc.ErrorInfo"].map((name) => root.lookupType(name));

// A client whose unary methods return promises.
function client(Service) {
  const made = new Service(process.env.ADDRESS, grpc.credentials.createInsecure(), options);
  for (const [name, method] of Object.entries(Service.service)) {
    if (!method.requestStream && !method.responseStream) made[name] = promisify(made[name].bind(made));
  }
  return made;
}

const customers = client(tally.v1.CustomerService);
const interactions = client(tally.v1.InteractionService);
const predictions = client(tally.v1.PredictionService);
const scoring = client(tally.v1.ScoringService);

async function refused(call, code, reason) {
  const error = await call.then(() => assert.fail(`not refused with ${reason}`), (refusal) => refusal);
  assert.equal(error.code, code, error.message);
  const status = Status.decode(error.metadata.get("grpc-status-details-bin")[0]);
  const info = status.details.find((detail) => detail.type_url.endsWith("google.rpc.ErrorInfo"));
  const { reason: given, metadata } = ErrorInfo.decode(info.value);
  assert.equal(given, reason);
  return metadata;
}

function interaction(number) {
  const seconds = Math.floor(Date.now() / 1000) - 3600 + number;
  const key = { customerId: "grpc-js", interactionId: `visit-${number}` };
  return { ...key, kind: "visit", occurTime: { seconds }, channel: "web" };
}

async function all(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

async function store() {
  const attributes = { fields: { plan: { stringValue: "pro" }, seats: { numberValue: 5 } } };
  const ada = { customerId: "grpc-js", name: "Ada", attributes };
  assert.equal((await customers.UpsertCustomers({ customers: [ada] })).upserted, 1);
  const { customer } = await customers.GetCustomer({ customerId: "grpc-js" });
  assert.equal(customer.attributes.fields.seats.numberValue, 5);

  // A plain object is no Struct: protobuf.js makes an empty one of it.
  const plain = { ...ada, attributes: { plan: "basic" } };
  const lost = await refused(customers.UpsertCustomers({ customers: [plain] }), 3, "INVALID_REQUEST");
  assert.deepEqual(lost, { field: "customers[0].attributes", index: "0" });

  const batch = Array.from({ length: 100 }, (_, number) => interaction(number));
  assert.equal((await interactions.RecordInteractions({ interactions: batch })).recorded, 100);
  const stream = interactions.StreamInteractions();
  for (const number of [100, 101, 102]) stream.write({ interactions: [interaction(number)] });
  stream.end();
  assert.deepEqual((await all(stream)).map((answer) => answer.recorded), [1, 1, 1]);
  const listed = await interactions.ListInteractions({ customerId: "grpc-js", pageSize: 1000 });
  assert.equal(listed.interactions.length, 103);
}

async function score() {
  const list = await predictions.ListPredictions({ target: "TARGET_CHURN", pageSize: 1000 });
  const buyers = list.predictions.map((prediction) => prediction.customerId);
  const one = await scoring.PredictChurn({ customerId: buyers[0] });
  assert.ok(one.lower <= one.probability && one.probability <= one.upper);
  const { results } = await scoring.BatchPredictChurn({ customerIds: [...buyers, "nobody"] });
  assert.equal(results.filter(({ result }) => result === "score").length, buyers.length);
  assert.equal(results.at(-1).status.code, grpc.status.NOT_FOUND);
  const exported = await all(predictions.ExportPredictions({ target: "TARGET_CHURN" }));
  assert.equal(exported.reduce((sum, message) => sum + message.predictions.length, 0), buyers.length);

  const unknown = await refused(scoring.ScoreLead({ customerId: "nobody" }), 5, "CUSTOMER_NOT_FOUND");
  assert.equal(unknown.customer_id, "nobody");
  await refused(scoring.ScoreLead({ customerId: buyers[0] }), 9, "NOT_A_LEAD");
}

async function health() {
  const file = path.join(__dirname, "health.proto");
  const { grpc: { health: { v1 } } } = grpc.loadPackageDefinition(loader.loadSync(file, { enums: String }));
  assert.equal((await client(v1.Health).Check({})).status, "SERVING");
}

health().then(store).then(score).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
