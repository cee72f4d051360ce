"""`wherry-runtime run` of one bundle beside other OCI runtimes: a fresh process each time.

    bench/runtimes.py [--runs 20] [--runtimes crun,runc]

Prints medians in milliseconds, and ours as a multiple of each. crun refuses a machine whose
version 2 tree has controllers beside version 1, so all run in a mount namespace that hides it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UNIFIED = "/sys/fs/cgroup/unified"
OURS = "wherry-runtime"
SOURCES = Path(__file__).parents[1] / "src"


def main() -> None:
    """Measure by turns, so that a busy moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--runtimes", default="crun,runc")
    options = parser.parse_args()
    if "WHERRY_HIDDEN" not in os.environ:
        _again_with_the_tree_hidden()
    with tempfile.TemporaryDirectory(prefix="runtimes-") as name:
        commands = {OURS: _our_program(Path(name))}
        wanted = options.runtimes.split(",")
        commands |= {each: each for each in wanted if shutil.which(each)}
        _fill_bundle(Path(name), commands[OURS])
        samples: dict[str, list[float]] = {each: [] for each in commands}
        for number in range(options.runs):
            for each, command in commands.items():
                samples[each].append(_run_ms(command, f"bench-{each}-{number}", Path(name)))
    ours = statistics.median(samples[OURS])
    for each, times in samples.items():
        median = statistics.median(times)
        print(
            f"{each:<16}{median:8.1f} ms   least {min(times):6.1f}   ours / it {ours / median:.2f}"
        )


def _again_with_the_tree_hidden() -> None:
    hide = f'[ ! -e {UNIFIED} ] || mount -t tmpfs none {UNIFIED}; exec "$@"'
    os.environ["WHERRY_HIDDEN"] = "1"
    again = [sys.executable, *sys.argv]
    os.execvp(
        "unshare", ["unshare", "-m", "--propagation", "private", "sh", "-c", hide, "sh", *again]
    )


def _our_program(place: Path) -> str:
    program = place / OURS
    program.write_text(
        f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(SOURCES)!r})\n"
        "from wherry.programs.wherry_runtime import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return str(program)


def _fill_bundle(place: Path, program: str) -> None:
    for part in ("bin", "proc", "sys", "dev", "tmp"):
        (place / "rootfs" / part).mkdir(parents=True)
    shutil.copy("/bin/busybox", place / "rootfs/bin/true")
    subprocess.run([program, "spec", "--bundle", str(place)], check=True)
    config = place / "config.json"
    spec = json.loads(config.read_text())
    spec["ociVersion"] = "1.0.2"  # Older versions of crun know no later one.
    spec["process"] |= {"terminal": False, "args": ["true"], "rlimits": []}
    config.write_text(json.dumps(spec))


def _run_ms(program: str, name: str, bundle: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([program, "run", name], cwd=bundle, check=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1e3


if __name__ == "__main__":
    main()
