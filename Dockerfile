# Everything that the course runs, and what its tests are held against.
#
#     docker build -t sockets .
#     docker run --rm -it --cap-add SYS_PTRACE --security-opt seccomp=unconfined \
#         -v "$PWD":/course -w /course sockets cargo xtask demo
#
# The two options allow what Docker's own profile forbids: namespaces, for a network of each
# run's own, and tracing, for `flow` and `check --flow`. Without them runs share the
# container's loopback, one at a time, and drawings have calls but no packets.
FROM rust:1.95-bookworm
RUN rustup component add rustfmt clippy
RUN apt-get update && apt-get install -y --no-install-recommends \
        curl iproute2 ncat netcat-openbsd nodejs openbsd-inetd procps python3 socat strace \
        tcpdump tshark util-linux \
    && rm -rf /var/lib/apt/lists/*
