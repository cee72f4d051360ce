#!/bin/sh
# The peer of the benchmark: Debian's own dockerd, installed and never started by this.
set -eu
missing=""
for package in docker.io containerd runc iptables; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "bench: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q=2
    apt-get install -q=2 -y --no-install-recommends $missing >/dev/null
fi
