"""strace on processes of an engine: what they really ask of the kernel, or are denied by it."""

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.waiting import wait_until

_LINE = re.compile(r"^(\d+) +(?:[\d.]+ )?(\w+)\((.*)\) += (-?\w+)(.*)$", re.DOTALL)
_UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One finished system call."""

    pid: int
    name: str
    arguments: str
    result: str
    line: str

    @property
    def has_failed(self) -> bool:
        """Whether it returned an error."""
        return self.result.startswith("-") or self.result == "?"


class Trace:
    """What has been seen so far."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def calls(self) -> list[TracedCall]:
        """All finished calls, in order of their end."""
        found = []
        begun: dict[tuple[str, str], str] = {}
        for line in self._path.read_text(errors="replace").splitlines():
            if unfinished := _UNFINISHED.match(line):
                begun[unfinished[1], unfinished[2]] = unfinished[3]
                continue
            if resumed := _RESUMED.match(line):
                head = begun.pop((resumed[1], resumed[2]), "")
                line = f"{resumed[1]} {resumed[2]}({head}{resumed[3]}"
            if whole := _LINE.match(line):
                found.append(TracedCall(int(whole[1]), whole[2], whole[3], whole[4], line.strip()))
        return found


@contextlib.contextmanager
def traced(pids: Sequence[int], calls: Sequence[str], *options: str) -> Iterator[Trace]:
    """Trace processes and all that they fork meanwhile; `calls` are names, `?` for maybe-missing.

    Every descendant is let go again at the end, unharmed.
    """
    with tempfile.TemporaryDirectory(prefix="wherry-trace-") as directory:
        path = Path(directory, "calls")
        command = ["strace", "-f", "-y", "-s", "4096", "-o", str(path),
                   "-e", "signal=none", "-e", f"trace={','.join(calls)}", *options]  # fmt: skip
        for pid in pids:
            command += ["-p", str(pid)]
        words = Path(directory, "words")
        with words.open("wb") as stream:
            tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stream)
        try:
            wait_until(
                "strace has attached",
                lambda: words.read_text().count("attached") >= len(pids) or tracer.poll(),
            )
            if tracer.poll() is not None:
                raise RuntimeError(words.read_text())
            yield Trace(path)
        finally:
            tracer.terminate()
            tracer.wait(timeout=10)
