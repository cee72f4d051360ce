"""`debian:bookworm` by debootstrap, from the mirrors that the host itself uses."""

import collections
import glob
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

from wherry.images.bootstrap.recipe import SEARCH_PATH, BaseImage
from wherry.kit.values import dataclass
from wherry.linux.files import open_in_root, remove_tree
from wherry.model.errors import HostLacks, StepFailed
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults
from wherry.snapshots import Writable, diff_tar

SUITE = "bookworm"
_SOURCE_FILES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*")
_EMPTIED = ("var/cache/apt/archives", "var/lib/apt/lists", "tmp")
_REMOVED = (
    # debootstrap copies the host's own.
    ("etc", "hostname"),
    ("etc", "resolv.conf"),
    ("var/log", "bootstrap.log"),
    ("var/log", "dpkg.log"),
    ("var/log", "alternatives.log"),
)
_LINES_KEPT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """One archive that apt may fetch from (sources.list(5))."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(("deb", self.uri, self.suite, *self.components))


def recipe() -> BaseImage:
    """How to make debian:bookworm."""
    return BaseImage(
        name=f"debian:{SUITE}",
        created_by=f"debootstrap --variant=minbase {SUITE}",
        config=ExecutionDefaults(env=(SEARCH_PATH,), cmd=("bash",)),
        write_layer=_write_layer,
        created_at_ns=lambda now: now,
    )


def host_sources(suite: str) -> tuple[AptSource, ...]:
    """The host's own sources of a suite and of its updates, in apt's two formats."""
    found: list[AptSource] = []
    for path in sorted(each for pattern in _SOURCE_FILES for each in glob.glob(pattern)):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if path.endswith(".sources"):
            found += parse_deb822(text)
        elif path.endswith(".list"):
            found += parse_one_line(text)
    return tuple(
        each
        for each in dict.fromkeys(found)
        if each.suite == suite or each.suite.startswith((f"{suite}-", f"{suite}/"))
    )


def parse_one_line(text: str) -> Iterator[AptSource]:
    """`deb [options] URI suite component...`"""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) > 1 and words[0] == "deb":
            while len(words) > 1 and (words[1].startswith("[") or words[1].endswith("]")):
                del words[1]
            if len(words) > 3:
                yield AptSource(uri=words[1], suite=words[2], components=tuple(words[3:]))


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Paragraphs of `Types:`, `URIs:`, `Suites:`, `Components:`."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for paragraph in "\n".join(lines).split("\n\n"):
        fields: dict[str, list[str]] = collections.defaultdict(list)
        name = ""
        for line in paragraph.splitlines():
            if not line.startswith((" ", "\t")):
                name, _, line = line.partition(":")
            fields[name.lower()] += line.split()
        if "deb" not in fields["types"] or fields["enabled"] == ["no"]:
            continue
        for uri in fields["uris"]:
            for suite in fields["suites"]:
                yield AptSource(uri=uri, suite=suite, components=tuple(fields["components"]))


def _write_layer(workspace: str, out: Writable) -> Iterator[Progress]:
    if shutil.which("debootstrap") is None:
        raise HostLacks("image bootstrap", "debootstrap")
    sources = host_sources(SUITE)
    mirrors = [each.uri for each in sources if each.suite == SUITE]
    root = os.path.join(workspace, "root")
    command = ["debootstrap", "--variant=minbase", SUITE, root, *mirrors[:1]]
    # A mount namespace of its own: whatever it mounts in the tree goes with the process.
    yield from _run(["unshare", "--mount", "--propagation", "private", *command])
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _tidy(descriptor, sources)
        yield Progress(stream="I: Packing the layer...\n")
        diff_tar(descriptor, out)
    finally:
        os.close(descriptor)


def _run(command: list[str]) -> Iterator[Progress]:
    """Run a program, telling each line that it prints. Raises: StepFailed with the last ones."""
    last: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace")
            last.append(line.strip())
            yield Progress(stream=line)
        code = process.wait()
    finally:
        if process.poll() is None:
            # The client has gone. Its session holds whatever debootstrap started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
    if code != 0:
        raise StepFailed("debootstrap", "; ".join(last) or f"exit code {code}")


def _tidy(root: int, sources: tuple[AptSource, ...]) -> None:
    """Remove what only debootstrap needed, and let apt use the host's archives."""
    for path in _EMPTIED:
        directory = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in os.listdir(directory):
                remove_tree(directory, name)
        finally:
            os.close(directory)
    for path, name in _REMOVED:
        directory = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            remove_tree(directory, name)
        finally:
            os.close(directory)
    if sources:
        lines = "".join(f"{each}\n" for each in sources)
        file = open_in_root(
            root, "etc/apt/sources.list", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644
        )
        with os.fdopen(file, "w") as opened:
            opened.write(lines)
