# Untried: no container engine was at hand when this file was written. Reports are welcome.
#
#   docker build -t mqtt-sessions .
#   docker run --rm --network host mqtt-sessions matrix mqtt://localhost

FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
# The roots that mqtts:// and wss:// trust.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/mqtt-sessions /usr/local/bin/
# Files that are exported go here: -v "$PWD:/results"
WORKDIR /results
USER nobody
ENTRYPOINT ["mqtt-sessions"]
CMD ["--help"]
