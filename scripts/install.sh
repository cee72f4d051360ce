#!/bin/sh
# Puts launchers of this checkout's programs into $DESTDIR$PREFIX/bin.
#
# Each is a few lines of Python under `-I -S`: no environment, no user site, no site module and
# no `.pth` files. That is 20 ms of every `wherry ps`, and nothing in the caller's directory or
# environment can put code into a program that root runs.
set -eu
cd "$(dirname "$0")/.."
bin="${DESTDIR:-}${PREFIX:-/usr/local}/bin"
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$bin"

launcher() { # NAME MODULE
    staged="$bin/.$1.new"
    cat > "$staged" <<PYTHON
#!$PWD/.venv/bin/python -IS
import sys

sys.path[:0] = ["$PWD/src", "$site"]
from $2 import main

sys.exit(main())
PYTHON
    chmod 755 "$staged"
    mv -f "$staged" "$bin/$1"
    echo "$bin/$1"
}

.venv/bin/python -m compileall -q src
for name in wherry wherryd; do launcher $name wherry.programs.$name; done
# The runtime as a command of its own, where this version has it.
[ ! -f src/wherry/programs/wherry_runtime.py ] || launcher wherry-runtime wherry.programs.wherry_runtime
