# The daily commands. `just` lists them; `./test` is what CI runs.

set positional-arguments

# Lists the commands.
default:
    @just --list --unsorted

# Builds everything, unoptimised.
build:
    cargo build --workspace --locked

# Runs everything that must pass: formatting, lints, docs, dependencies, tests on both databases.
check:
    ./test

# Runs the tests, or those that match: `just test replay`.
test *filter:
    cargo test --workspace --locked "$@"

# Checks formatting and runs clippy without warnings.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Formats the code.
fmt:
    cargo fmt --all

# Serves a simulated business: trains both models, scores all customers, prints what to try.
demo *arguments:
    cargo run --release --locked --bin tally-serve -- --demo "$@"

# Runs the `tally` command: `just tally predictions churn`.
tally *arguments:
    @cargo run -q --release --locked --bin tally -- "$@"

# Measures against the peers, everything or some sections: `just bench --small warm`.
bench *sections:
    bench/run "$@"

# Tests what faults do, everything or some rows: `just soak --small G1`.
soak *rows:
    ./soak "$@"

# Builds the API docs as ./test does, and opens them.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --open

# Checks licences, bans and sources of dependencies.
deny:
    cargo deny --locked check --hide-inclusion-graph licenses bans sources

# Checks the style of the proto files, and that they still understand the clients of the baseline.
contract:
    buf lint
    buf breaking --against proto/baseline.binpb

# Makes the present proto files the baseline, as part of a release.
contract-baseline:
    buf build --exclude-source-info --output proto/baseline.binpb
