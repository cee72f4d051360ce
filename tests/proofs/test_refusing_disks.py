"""RELIABILITY row 16 (F09, F10, F11): every verb, on a disk that takes nothing more.

What needs room says so, with the system's words, and leaves nothing half; what gives room, ends or
looks at something works each time; containers notice nothing; and once there is room everything
does, in the same daemon.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from parity.test_managed_plugins import context as plugin_context
from support.daemon import Engine
from support.debian_registry import debian_registry
from support.image_archives import docker_archive
from support.mutants import Mutant, mutated_source, program_of
from support.proof_size import Size
from support.small_disks import FULL, READ_ONLY, SmallDisk, can_fail, small_disk
from support.tar_archives import archive, member
from support.waiting import wait_until

REFUSALS = (FULL, READ_ONLY, "input/output error", "i/o error")


class Tenants:
    """What lives on the disk before it refuses: one of each thing for each verb that ends it."""

    def __init__(self, disk: SmallDisk, place: Path, registry: str) -> None:
        self.engine = disk.engine
        self.registry = registry
        ok = self.engine.docker_ok
        self.context = place / "context"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text("FROM busybox\nRUN echo 1 > /one\nCOPY large /\n")
        (self.context / "large").write_bytes(bytes(range(256)) * 4096)
        self.archive = place / "image.tar"
        content = bytes(range(256)) * 4096
        self.archive.write_bytes(docker_archive(archive(member("f", content)), tags=("loaded:1",)))
        copied = self.engine.machine.run(
            "skopeo", "copy", "-q", "--dest-tls-verify=false",
            f"docker-archive:{self.archive}", f"docker://{registry}/pulled:1",
        )  # fmt: skip
        assert copied.returncode == 0, copied.stderr
        ok("plugin", "create", f"{registry}/keeper:1", str(plugin_context(place / "plugin")))
        ok("plugin", "push", f"{registry}/keeper:1")
        ok("plugin", "rm", f"{registry}/keeper:1")
        talks = (
            "i=0; while true; do i=$((i+1)); echo line $i; echo $i > /dev/shm/i; sleep .02; done"
        )
        self.talker = ok("run", "-d", "--name", "talks", "busybox", "sh", "-c", talks)
        for name in ("to-stop", "to-kill", "to-rm", "to-pause", "to-exec", "to-wait"):
            ok("run", "-d", "--name", name, "busybox", "sleep", "100000")
        for name in ("ended-1", "ended-2"):
            ok("run", "--name", name, "busybox", "echo", name)
        ok("create", "--name", "made", "busybox", "true")
        ok("tag", "busybox", "also:1")
        for name in ("used-1", "used-2"):
            ok("network", "create", name)
            ok("volume", "create", name)

    def count(self) -> int:
        """How far the talker is: in memory of its own, so that its disk doesn't matter."""
        return int(self.engine.docker_ok("exec", "talks", "cat", "/dev/shm/i"))


def makers(tenants: Tenants) -> dict[str, tuple[str, ...]]:
    """What needs room."""
    context, file = str(tenants.context), str(tenants.archive)
    return {
        "build": ("build", "-q", context),
        "commit": ("commit", "talks", "committed:1"),
        "cp": ("cp", file, "talks:/copied"),
        "create": ("create", "--name", "new", "busybox", "true"),
        "import": ("import", file, "imported:1"),
        "load": ("load", "-i", file),
        "network create": ("network", "create", "new"),
        "plugin install": (
            "plugin",
            "install",
            "--grant-all-permissions",
            "--disable",
            "--alias",
            "new",
            f"{tenants.registry}/keeper:1",
        ),
        "pull": ("pull", "-q", f"{tenants.registry}/pulled:1"),
        "run": ("run", "--rm", "busybox", "true"),
        "start": ("start", "made"),
        "volume create": ("volume", "create", "new"),
        "volume snapshot": ("volume", "snapshot", "--name", "new", "used-1"),
    }


NAMES = ("{{.Name}}", "{{.Names}}", "{{.Repository}}:{{.Tag}}")
MADE: dict[str, tuple[tuple[str, ...], str, str]] = {
    "commit": (("images",), NAMES[2], "committed:1"),
    "create": (("ps", "-a"), NAMES[1], "new"),
    "import": (("images",), NAMES[2], "imported:1"),
    "load": (("images",), NAMES[2], "loaded:1"),
    "network create": (("network", "ls"), NAMES[0], "new"),
    "plugin install": (("plugin", "ls"), NAMES[0], "new:latest"),
    "pull": (("images",), NAMES[2], "{registry}/pulled:1"),
    "volume create": (("volume", "ls"), NAMES[0], "new"),
}
"""Where what a verb has made is listed, and as what."""

ENDING: tuple[tuple[str, ...], ...] = (
    ("inspect", "talks"), ("ps", "-a"), ("logs", "--tail", "1", "talks"), ("images",), ("info",),
    ("top", "talks"), ("stats", "--no-stream", "talks"), ("exec", "to-exec", "true"),
    ("network", "inspect", "used-1"), ("volume", "inspect", "used-1"), ("system", "df"),
    ("pause", "to-pause"), ("unpause", "to-pause"), ("stop", "-t", "0", "to-stop"),
    ("kill", "to-kill"), ("wait", "to-kill"), ("rm", "-f", "to-rm"), ("rm", "ended-1"),
    ("rmi", "also:1"), ("network", "rm", "used-1"), ("volume", "rm", "used-1"),
    ("container", "prune", "-f"), ("network", "prune", "-f"), ("volume", "prune", "-af"),
    ("image", "prune", "-f"), ("builder", "prune", "-f"), ("system", "prune", "-f"),
)  # fmt: skip
"""What must work on a full disk, each time."""
LOOKING = ENDING[:10]
STOPPING: tuple[tuple[str, ...], ...] = (
    *LOOKING, ("stop", "-t", "0", "to-stop"), ("kill", "to-kill"),
)  # fmt: skip
"""What must work when nothing at all can be written."""


def client(engine: Engine, words: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and complaint; verbs that only our client has are typed with it."""
    run = engine.wherry if words[:2] == ("volume", "snapshot") else engine.docker
    ran = run(*words, timeout_s=120)
    return ran.returncode, (ran.stderr + ran.stdout).lower()


def try_makers(tenants: Tenants) -> int:
    """Each is done whole or refused in the system's words; how many were refused."""
    refused = 0
    for verb, words in makers(tenants).items():
        code, said = client(tenants.engine, words)
        if code:
            assert any(each in said for each in REFUSALS), f"{verb}: {said}"
            refused += 1
        if verb in MADE:
            look, names, made = MADE[verb]
            listed = tenants.engine.docker_ok(*look, "--format", names).split()
            assert (made.format(registry=tenants.registry) in listed) == (code == 0), verb
    return refused


def undo_makers(tenants: Tenants) -> None:
    """What was made goes, so that it can be made."""
    for words in (
        ("rm", "-f", "new", "made"), ("network", "rm", "new"), ("volume", "rm", "new"),
        ("rmi", "-f", "committed:1", "imported:1", "loaded:1", f"{tenants.registry}/pulled:1"),
        ("plugin", "rm", "-f", "new"),
    ):  # fmt: skip
        tenants.engine.docker(*words)


def everything_is_made(tenants: Tenants) -> None:
    """With room: every verb, in the same daemon."""
    undo_makers(tenants)
    tenants.engine.docker("volume", "create", "used-1")
    tenants.engine.docker_ok("create", "--name", "made", "busybox", "true")
    for verb, words in makers(tenants).items():
        code, said = client(tenants.engine, words)
        assert code == 0, f"{verb}: {said}"


@contextlib.contextmanager
def going_on(tenants: Tenants) -> Iterator[None]:
    """The container that talks is never held up, whatever happens to its log."""
    before = tenants.count()
    yield
    assert tenants.engine.inspect("talks")["State"]["Running"]
    now = tenants.count()
    assert now > before
    wait_until("it goes on", lambda: tenants.count() > now)


@contextlib.contextmanager
def disk_and_registry(
    place: Path, *options: str, program: Sequence[str] = ()
) -> Iterator[tuple[SmallDisk, str]]:
    """An engine on a small disk, and a registry on another."""
    with (
        small_disk(place, *options, program=program) as disk,
        debian_registry(disk.engine) as registry,
    ):
        yield disk, registry


def nothing_free(
    place: Path, filled: Callable[[SmallDisk], None], program: Sequence[str] = ()
) -> str:
    """Every verb on a disk without a byte, or without an inode; what came of it."""
    with disk_and_registry(place, "-N", "2600", program=program) as (disk, registry):
        tenants = Tenants(disk, place, registry)
        pid = disk.engine.pid
        filled(disk)
        with going_on(tenants):
            refused = try_makers(tenants)
            for words in ENDING:
                filled(disk)
                code, said = client(tenants.engine, words)
                assert code == 0, f"{words}: {said}"
        assert refused > 3
        disk.make_room()
        everything_is_made(tenants)
        assert disk.engine.pid == pid
        disk.engine.restart()
        assert tenants.count()
    return (
        f"{refused} of {len(makers(tenants))} verbs refused, {len(ENDING)} of {len(ENDING)} that "
        "end or look at something done"
    )


def nothing_written(place: Path, program: Sequence[str] = ()) -> str:
    """The file system turns read-only under the engine; mended, everything is there again."""
    with disk_and_registry(place, program=program) as (disk, registry):
        if not can_fail():
            pytest.skip("this kernel has no hook by which ext4 fails")
        tenants = Tenants(disk, place, registry)
        disk.fail()
        with going_on(tenants):
            refused = try_makers(tenants)
            for words in STOPPING:
                code, said = client(tenants.engine, words)
                assert code == 0, f"{words}: {said}"
            for name in ("to-stop", "to-kill"):
                assert not disk.engine.inspect(name)["State"]["Running"]
        disk.engine.docker("kill", "talks", "to-rm", "to-pause", "to-exec", "to-wait")
        disk.engine.stop()
        disk.mend()
        disk.engine.start()
        assert not disk.engine.docker_ok("ps", "-q")
        everything_is_made(tenants)
    return f"{refused} verbs refused, {len(STOPPING)} done that end or look at something"


def test_no_byte_free(tmp_path: Path, figure: list[str]) -> None:
    """What `make test` tries of it."""
    figure.append(nothing_free(tmp_path, SmallDisk.fill))


def test_no_inode_free(tmp_path: Path, size: Size, figure: list[str]) -> None:
    """The same, when names run out before bytes do."""
    if size.is_whole:
        figure.append(nothing_free(tmp_path, SmallDisk.use_up_names))


def test_nothing_can_be_written(tmp_path: Path, size: Size, figure: list[str]) -> None:
    """What a disk does that fails."""
    if size.is_whole:
        figure.append(nothing_written(tmp_path))


_MUTANTS = (
    (Mutant("the database holds no blocks", "store/reserve.py",
            "allocate(log, LOG_BYTES)", "pass"),
     lambda place, program: nothing_free(place, SmallDisk.fill, program)),
    (Mutant("an end must be written down to be shown", "engine/containers/exits.py",
            "self._records.note(ended)", "self._records.replace(ended)"), nothing_written),
    (Mutant("who takes a container over opens its log again", "shim/container.py",
            "log.options, log.attributes, file)", "log.options, log.attributes, None)"),
     nothing_written),
)  # fmt: skip


@pytest.mark.parametrize(("mutant", "trying"), _MUTANTS, ids=[each.name for each, _ in _MUTANTS])
def test_mutants(
    tmp_path: Path, mutant: Mutant, trying: Callable[[Path, Sequence[str]], str]
) -> None:
    """Without it something that must work does not, or a container is lost."""
    with mutated_source([mutant]) as source, pytest.raises((AssertionError, TimeoutExpired)):
        trying(tmp_path, program_of(source))
