#!/bin/sh
# docker-py's own integration suite, from the last release whose source archive carries it.
set -eu
cd "$(dirname "$0")/.."
place=.work/sdk version=6.1.3
[ ! -d "$place/docker-$version" ] || exit 0
mkdir -p "$place"
.venv/bin/pip download --quiet --no-deps --no-binary docker --dest "$place" "docker==$version"
# What its helpers import for ssh, and what the library speaks by websockets with.
.venv/bin/pip install --quiet --target "$place/libraries" paramiko websocket-client
tar -xzf "$place/docker-$version.tar.gz" -C "$place"
# Its tests alone: they are run with the library that the other tests use.
rm -r "$place/docker-$version/docker"
