"""One bundle run by `wherry-runtime`, by the engine's own path, and by other OCI runtimes.

    bench/runtimes.py [--runs 20] [--runtimes crun,runc] [--json]

`wherry-runtime run`, crun and runc are a fresh process each time. The forked path is what the
engine does: a process that has all modules in memory forks one that creates, starts, awaits and
destroys the container. Prints medians in milliseconds, and ours as a multiple of each.

crun refuses a machine whose version 2 tree has controllers beside version 1, so all run in a
mount namespace that hides it.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "src"
sys.path.insert(0, str(SOURCES))

from wherry.oci import runtime_json  # noqa: E402
from wherry.runtime.container import CreateRequest, create, destroy  # noqa: E402
from wherry.runtime.preload import preload  # noqa: E402

UNIFIED = "/sys/fs/cgroup/unified"
OURS = "wherry-runtime"
FORKED = "forked path"


def main() -> None:
    """Measure by turns, so that a busy moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--runtimes", default="crun,runc")
    parser.add_argument("--json", action="store_true", help="print all samples instead")
    options = parser.parse_args()
    if "WHERRY_HIDDEN" not in os.environ:
        _again_with_the_tree_hidden()
    preload()
    gc.collect()
    gc.freeze()  # As the spawner does.
    with tempfile.TemporaryDirectory(prefix="runtimes-") as name:
        bundle = Path(name)
        commands = {OURS: _our_program(bundle)}
        wanted = options.runtimes.split(",")
        commands |= {each: each for each in wanted if shutil.which(each)}
        _fill_bundle(bundle, commands[OURS])
        samples: dict[str, list[float]] = {each: [] for each in (*commands, FORKED)}
        for number in range(options.runs + 1):
            taken = {
                each: _run_ms(command, f"bench-{each}-{number}", bundle)
                for each, command in commands.items()
            }
            taken[FORKED] = _forked_ms(f"bench-forked-{number}", bundle)
            for each, took in taken.items() if number else ():
                samples[each].append(took)
    print(json.dumps(samples) if options.json else _table(samples))


def _table(samples: dict[str, list[float]]) -> str:
    ours, forked = (statistics.median(samples[each]) for each in (OURS, FORKED))
    lines = [f"{'':<16}{'median':>8}{'least':>8}  run / it  forked / it"]
    for each, times in samples.items():
        median = statistics.median(times)
        ratios = f"{ours / median:>10.2f}{forked / median:>13.2f}"
        lines.append(f"{each:<16}{median:>8.1f}{min(times):>8.1f}{ratios}")
    return "\n".join(lines)


def _forked_ms(name: str, bundle: Path) -> float:
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        os._exit(_life(name, bundle))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    took = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"the forked path ended with {status}")
    return took * 1e3


def _life(name: str, bundle: Path) -> int:
    """A container from its configuration to its end; the exit code of its program."""
    spec = runtime_json.decode((bundle / "config.json").read_bytes())
    request = CreateRequest(container_id=name, bundle=str(bundle), spec=spec, stdio=(0, 1, 2))
    init = create(request)
    init.start()
    status = os.waitstatus_to_exitcode(os.waitpid(init.pid, 0)[1])
    return status or len(destroy(init.journal))


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
