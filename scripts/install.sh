#!/bin/sh
# Puts the programs into $DESTDIR$PREFIX: a copy of them in lib/wherry, and launchers in bin.
#
# A launcher is a few lines of Python under `-I -S`: no environment, no user site, no site module
# and no `.pth` files. That is 20 ms of every `wherry ps`, and nothing in the caller's directory or
# environment can put code into a program that root runs. It finds its copy from where it lies
# itself, so that all of $PREFIX can be moved.
set -eu
cd "$(dirname "$0")/.."
prefix="${DESTDIR:-}${PREFIX:-/usr/local}"
bin="$prefix/bin"
mkdir -p "$bin" "$prefix/lib/wherry"
tree=$(.venv/bin/python scripts/installed_tree.py "$prefix/lib/wherry")
interpreter=$(.venv/bin/python -c 'import os, sys; print(os.path.realpath(sys.executable))')

launcher() { # NAME MODULE [DIRECTORY FROM_THERE_TO_THE_PREFIX]
    place="${3:-$bin}"
    mkdir -p "$place"
    staged="$place/.$1.new"
    cat > "$staged" <<PYTHON
#!$interpreter -IS
import os.path
import sys

here = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.normpath(f"{here}/${4:-..}/lib/wherry/$tree"))
from $2 import main

sys.exit(main())
PYTHON
    chmod 755 "$staged"
    mv -f "$staged" "$place/$1"
    echo "$place/$1"
}

for name in wherry wherryd; do launcher $name wherry.programs.$name; done
# The runtime as a command of its own, where this version has it.
[ ! -f src/wherry/programs/wherry_runtime.py ] || launcher wherry-runtime wherry.programs.wherry_runtime

# Compose by the names that others look for it by, where it would take nobody's place: a file
# that isn't there, or that is ours. Below a DESTDIR only that counts.
ours_or_absent() { # PATH
    [ ! -e "$1" ] || grep -q wherry.programs.docker_compose "$1"
}
others_program() {
    found=$(command -v docker-compose || true)
    [ -z "${DESTDIR:-}" ] && [ -n "$found" ] && ! ours_or_absent "$found"
}
others_plugin() {
    [ -z "${DESTDIR:-}" ] || return 1
    for directory in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do
        ours_or_absent "$directory/docker/cli-plugins/docker-compose" || return 0
    done
    return 1
}
plugins="$prefix/lib/docker/cli-plugins"
if ! others_program && ours_or_absent "$bin/docker-compose"; then
    launcher docker-compose wherry.programs.docker_compose
fi
if ! others_plugin && ours_or_absent "$plugins/docker-compose"; then
    launcher docker-compose wherry.programs.docker_compose "$plugins" ../../..
fi
