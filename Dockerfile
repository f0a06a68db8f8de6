# Two stages: the first builds, the second has only the programs.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The programs carry the list of their dependencies, which `cargo audit bin` reads.
RUN cargo install cargo-auditable --version 0.7.7 --locked
COPY . .
RUN cargo auditable build --release --locked --bins

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data tally
COPY --from=build /src/target/release/tally-serve /src/target/release/tally-train /src/target/release/tally /usr/local/bin/
USER tally
WORKDIR /data
VOLUME /data
# A container has its own loopback interface, so listen on all its addresses. That takes TLS and a check of callers:
# TALLY_TLS_CERT, TALLY_TLS_KEY and TALLY_TOKENS or TALLY_JWKS (docs/security.md). To try it without, publish the ports on
# the host's loopback: `docker run -e TALLY_INSECURE=true -p 127.0.0.1:50051:50051 -p 127.0.0.1:8080:8080 tally`.
ENV TALLY_DATABASE=sqlite:///data/tally.db TALLY_LISTEN=0.0.0.0:50051 TALLY_HTTP=0.0.0.0:8080
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
CMD ["tally-serve"]
