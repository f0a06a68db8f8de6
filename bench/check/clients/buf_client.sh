#!/usr/bin/env bash
# The main calls with `buf curl`, which learns the contract by reflection.
set -euo pipefail
cd "$FOLDER"

# Sends a request, or several to a stream, to a method.
call() {
    buf curl --protocol grpc --http2-prior-knowledge --data "$2" "http://$ADDRESS/$1"
}

# Fails unless the JSON of the last line of a text contains this.
contains() {
    tr -d ' \n' <<<"$1" | grep -qF -- "$2" || { echo "no $2 in: $1" >&2; exit 1; }
}

# Sends a request that must be refused, and prints the error.
refused() {
    if call "$1" "$2" 2>&1; then
        echo "not refused: $1 $2" >&2
        exit 1
    fi
}

# The details of an error, which buf prints as base64 without padding.
details() {
    grep -o '"value": *"[^"]*"' <<<"$1" | cut -d '"' -f 4 | { base64 -d 2>/dev/null || true; } | tr -d '\0'
}

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
visit() { echo "{\"interactions\": [{\"customer_id\": \"buf\", \"interaction_id\": \"$1\", \"kind\": \"visit\", \"occur_time\": \"$now\"}]}"; }

contains "$(call grpc.health.v1.Health/Check '{}')" '"status":"SERVING"'
contains "$(call tally.v1.CustomerService/UpsertCustomers \
    '{"customers": [{"customer_id": "buf", "attributes": {"plan": "pro", "seats": 5}}]}')" '"upserted":"1"'
contains "$(call tally.v1.CustomerService/GetCustomer '{"customer_id": "buf"}')" '"plan":"pro","seats":5'
contains "$(call tally.v1.InteractionService/RecordInteractions "$(visit first)")" '"recorded":"1"'
contains "$(call tally.v1.InteractionService/StreamInteractions "$(visit second)$(visit third)")" \
    '"recorded":"1"}{"recorded":"1"}'
contains "$(call tally.v1.InteractionService/ListInteractions '{"customer_id": "buf"}')" '"interactionId":"third"'
list=$(call tally.v1.PredictionService/ListPredictions '{"target": "TARGET_CHURN", "page_size": 1}')
buyer=$(grep -o '"customerId": *"[^"]*"' <<<"$list" | head -1 | cut -d '"' -f 4)
contains "$(call tally.v1.ScoringService/PredictChurn "{\"customer_id\": \"$buyer\"}")" '"grade":"GRADE_'
contains "$(call tally.v1.PredictionService/ExportPredictions '{"target": "TARGET_CHURN"}')" "\"customerId\":\"$buyer\""
unknown=$(refused tally.v1.ScoringService/ScoreLead '{"customer_id": "nobody"}')
contains "$unknown" '"code":"not_found"'
contains "$(details "$unknown")" CUSTOMER_NOT_FOUND
contains "$(refused tally.v1.ScoringService/ScoreLead "{\"customer_id\": \"$buyer\"}")" '"code":"failed_precondition"'
