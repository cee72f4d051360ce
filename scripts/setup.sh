#!/bin/sh
# Makes this checkout able to run, test and demonstrate itself. Idempotent, and quick when
# nothing is missing. Needs Debian 12 or newer (or a relative with apt) and, to install
# packages, root.
set -eu
cd "$(dirname "$0")/.."

# What the engine itself runs or loads at run time.
engine="busybox-static tini nftables libnftables1 libseccomp2 debootstrap iproute2 libpcap0.8"
# What the tests, the demonstration and the benchmark look through: a C compiler for the
# static probes, strace for the traced start, nsenter and unshare for private machines,
# a registry, openssl for certificates, sshd for engines far away, shells for their completion,
# podman to use our runtime (38 MB with what it needs).
# rsyslog as a receiver of logs, btrfs and fuse-overlayfs for their snapshot drivers,
# skopeo to read what we write, qemu to run what is for other processors, redis and haproxy as
# services of the course (the program redis-server is in redis-tools), systemd to be the init of
# a container, docker-compose 1.29.2 as a client.
tests="docker-registry strace gcc libc6-dev procps util-linux python3-venv openssl openssh-server openssh-client"
tests="$tests zsh fish rsyslog podman btrfs-progs fuse-overlayfs skopeo qemu-user-static redis-tools haproxy systemd"
tests="$tests docker-compose"

missing() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

command -v dpkg-query >/dev/null || {
    echo "setup: not a Debian system; install the counterparts of: $engine $tests" >&2
    exit 1
}
wanted=$(missing $engine $tests)
# Any docker client will do; Debian's package brings one, with a daemon that nobody starts here.
command -v docker >/dev/null || wanted="$wanted docker.io"
if [ -n "${wanted% }" ]; then
    echo "setup: installing $wanted"
    [ "$(id -u)" = 0 ] || { echo "setup: run me as root once, to install $wanted" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q=2
    apt-get install -q=2 -y --no-install-recommends $wanted >/dev/null
fi

# The distribution's interpreter first: the one that stays when a version manager goes.
find_python() {
    for candidate in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        path=$(command -v "$candidate" 2>/dev/null) || continue
        if "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            echo "$path"
            return
        fi
    done
    echo "setup: no Python 3.11 or newer with venv" >&2
    exit 1
}

# The tests drive buildx as well; those that do are skipped where the mirror has none.
scripts/fetch-buildx.sh .tools/docker-plugins || echo "setup: no buildx for the tests" >&2

stamp=.venv/.installed
wanted=$(cksum pyproject.toml)
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted $PWD" ]; then
    exit 0
fi
if ! .venv/bin/python -c pass 2>/dev/null || [ "$(cat $stamp 2>/dev/null | cut -d' ' -f4-)" != "$PWD" ]; then
    python=$(find_python)
    echo "setup: making .venv with $python"
    [ -f $stamp ] && rm -rf .venv
    "$python" -m venv .venv
fi
echo "setup: installing Wherry and its tools into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
# A process that compiles as it imports keeps a sixth more memory for good.
.venv/bin/python -m compileall -q src
echo "$wanted $PWD" > $stamp
