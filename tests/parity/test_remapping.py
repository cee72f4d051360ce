"""`userns-remap`: root of a container is nobody of the host's, and nothing else changes."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs
FIRST, COUNT = 200_000, 65_536
_MOUNTING = (
    'mount --bind "$1/subuid" /etc/subuid && mount --bind "$1/subgid" /etc/subgid'
    ' && shift && exec "$@"'
)


@pytest.fixture(scope="module")
def remapped() -> Iterator[Engine]:
    """An engine whose containers have the subordinate ids of nobody."""
    engine = Engine("--userns-remap", "nobody:nogroup")
    (engine.root / "subuid").write_text(f"other:100000:65536\nnobody:{FIRST}:{COUNT}\n")
    (engine.root / "subgid").write_text(f"nogroup:{FIRST}:{COUNT}\n")
    try:
        engine.start(prefix=("sh", "-c", _MOUNTING, "sh", str(engine.root)))
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


@pytest.fixture(autouse=True)
def _clean(remapped: Engine) -> Iterator[None]:
    yield
    remapped.remove_all_containers()


def _run(engine: Engine, *arguments: str) -> str:
    return engine.docker_ok("run", "--rm", *arguments)


@pytest.mark.slide("23.48")
def test_root_is_nobody_of_the_host(remapped: Engine) -> None:
    """Inside it is root and owns its files; outside it is the first subordinate id."""
    show = "id -u; stat -c %u /bin/sh /etc/hosts /proc/$$; cat /proc/self/uid_map"
    out = _run(remapped, "busybox", "sh", "-c", show).split()
    assert out == ["0", "0", "0", "0", "0", str(FIRST), str(COUNT)]
    container = remapped.docker_ok("run", "-d", "busybox", "sleep", "1000")
    status = Path(f"/proc/{remapped.container_pid(container)}/status").read_text()
    assert f"Uid:\t{FIRST}\t{FIRST}\t{FIRST}\t{FIRST}" in status
    look = "touch /y; stat -c %u /y /proc/1"
    inside = remapped.docker_ok("exec", container, "sh", "-c", look)
    assert inside.split() == ["0", "0"]


def test_files_can_be_made_and_changed(remapped: Engine) -> None:
    """The root, a volume, a file of the image and one of the engine take writes."""
    write = (
        "echo a > /new; echo b >> /etc/passwd; echo c > /data/x; echo d >> /etc/hosts;"
        " chown 7:8 /new; stat -c %u:%g /new /data/x"
    )
    assert _run(remapped, "-v", "kept:/data", "busybox", "sh", "-c", write).split() == [
        "7:8",
        "0:0",
    ]
    assert _run(remapped, "-v", "kept:/data", "busybox", "cat", "/data/x") == "c"
    remapped.docker_ok("volume", "rm", "kept")


def test_what_is_bound_keeps_its_owner(remapped: Engine, tmp_path: Path) -> None:
    """A directory of the host's root is nobody's in the container, as with Docker."""
    (tmp_path / "theirs").write_text("x")
    (tmp_path / "given").mkdir()
    os.chown(tmp_path / "given", FIRST, FIRST)
    tmp_path.chmod(0o755)
    for each in tmp_path.parents[:2]:
        each.chmod(0o755)
    try_both = "echo y > /in/theirs || echo refused; echo z > /in/given/z && stat -c %u /in/given"
    out = remapped.docker(
        "run", "--rm", "-v", f"{tmp_path}:/in", "busybox", "sh", "-c", f"({try_both}) 2>/dev/null"
    ).stdout
    assert out.split() == ["refused", "0"]
    assert (tmp_path / "given/z").stat().st_uid == FIRST


@pytest.mark.slide("23.49")
def test_only_the_host_is_refused(remapped: Engine) -> None:
    """What a user namespace can't give has Docker's sentences, and `--userns=host` its way."""
    for flags, sentence in (
        (
            ("--privileged",),
            "privileged mode is incompatible with user namespaces.  You must run the container"
            " in the host namespace when running privileged mode",
        ),
        (
            ("--network", "host"),
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            ("--pid", "host"),
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
    ):
        refused = remapped.docker("create", *flags, "busybox", "true")
        assert refused.returncode == 1
        assert sentence in refused.stderr
        show = ("busybox", "cat", "/proc/self/uid_map")
        out = _run(remapped, "--userns", "host", *flags, *show).split()
        assert out == ["0", "0", "4294967295"]


@pytest.mark.slide("23.49")
def test_a_root_of_its_own(remapped: Engine) -> None:
    """Each mapping has its own data root; `info` names it and says that ids are mapped."""
    info = remapped.api("GET", "/info").json
    assert info["DockerRootDir"] == f"{remapped.data_root}/{FIRST}.{FIRST}"
    assert "name=userns" in info["SecurityOptions"]
    assert remapped.data_root.stat().st_mode & 0o777 == 0o711
    assert Path(info["DockerRootDir"]).stat().st_mode & 0o777 == 0o710


def test_the_mapped_root_reaches_nothing(remapped: Engine) -> None:
    """R22: with the container's host id, nothing of the data root can be read or written."""
    remapped.docker_ok("run", "-d", "busybox", "sleep", "1000")
    walk = f"find {remapped.data_root}/{FIRST}.{FIRST} -print 2>/dev/null | head -5"
    ran = subprocess.run(
        remapped.machine.command("setpriv", f"--reuid={FIRST}", f"--regid={FIRST}",
                                 "--clear-groups", "sh", "-c", walk),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.stdout.split() in ([], [f"{remapped.data_root}/{FIRST}.{FIRST}"])
    writable = subprocess.run(
        ["find", str(remapped.data_root), "(", "-uid", str(FIRST), "-o", "-gid", str(FIRST),
         "-o", "-perm", "-o+w", "-type", "d", ")", "-not", "-path", "*/diff/*",
         "-not", "-path", "*/_data/*", "-not", "-type", "l"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert writable.stdout == ""


def test_copies(remapped: Engine, tmp_path: Path) -> None:
    """Files have the container's owners, out and in, whether it runs or not."""
    script = "echo told > /x; chown 7:8 /x; mv /x /told; exec sleep 1000"
    container = remapped.docker_ok("run", "-d", "busybox", "sh", "-c", script)
    wait_until("it has written", lambda: "A /told" in remapped.docker_ok("diff", container))
    answer = remapped.api("GET", f"/containers/{container}/archive?path=/told")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        (entry,) = archive.getmembers()
    assert (entry.uid, entry.gid) == (7, 8)
    (tmp_path / "told").write_text("x")
    os.chown(tmp_path / "told", 7, 8)
    remapped.docker_ok("cp", "-a", str(tmp_path / "told"), f"{container}:/live")
    remapped.docker_ok("cp", str(tmp_path), f"{container}:/tree")
    script = "stat -c %u:%g /live /tree /tree/told; echo more >> /tree/told; rm -r /tree"
    owners = remapped.docker_ok("exec", container, "sh", "-c", script)
    assert owners.split() == ["7:8", "0:0", "7:8"]
    os.chown(tmp_path / "told", COUNT + 1, 0)
    nobody = remapped.docker("cp", "-a", str(tmp_path / "told"), f"{container}:/nobody")
    assert f"mapping is {COUNT + 1} in the container" in nobody.stderr
    os.chown(tmp_path / "told", 0, 0)
    remapped.docker_ok("stop", "-t", "0", container)
    remapped.docker_ok("cp", str(tmp_path / "told"), f"{container}:/back")
    remapped.docker_ok("commit", container, "kept")
    out = _run(remapped, "kept", "stat", "-c", "%u:%g", "/back", "/told")
    assert out.split() == ["0:0", "7:8"]
    remapped.remove_all_containers()
    remapped.docker_ok("rmi", "kept")


def test_an_image_in_another(remapped: Engine) -> None:
    """The files of an image that is mounted belong to its own users, and nobody writes there."""
    remapped.docker_ok(
        "run", "--name", "maker", "busybox",
        "sh", "-c", "mkdir /opt && echo two > /opt/two && chown 7:8 /opt/two",
    )  # fmt: skip
    remapped.docker_ok("commit", "maker", "tools:2")
    look = "stat -c '%u %g' /x/opt/two /x/bin/sh && cat /x/opt/two"
    write = "for n in 1 2; do ! touch /x/new || exit 1; mount -o remount,bind,rw /x; done; true"
    whole, part = (
        f"type=image,source=tools:2,target=/x{more}" for more in ("", ",image-subpath=opt")
    )
    flags = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")
    out = _run(remapped, "--mount", whole, "busybox", "sh", "-c", look)
    assert out.splitlines() == ["7 8", "0 0", "two"]
    out = _run(remapped, "--mount", part, "busybox", "stat", "-c", "%u %g", "/x/two")
    assert out == "7 8"
    _run(remapped, *flags, "--mount", whole, "busybox", "sh", "-c", write)
    assert _run(remapped, "tools:2", "ls", "/opt") == "two"
    remapped.remove_all_containers()
    remapped.docker_ok("rmi", "tools:2")


def test_what_a_build_mounts(remapped: Engine, tmp_path: Path) -> None:
    """A step's caches, sources and secrets belong to whom they belong to in the image."""
    (tmp_path / "file").write_text("of the context")
    (tmp_path / "secret").write_text("sesame")
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\n"
        "RUN --mount=type=cache,target=/c,uid=7 --mount=type=bind,target=/b"
        " --mount=type=secret,id=s,uid=7 --mount=type=secret,id=t,env=T"
        " stat -c %u /c /b/file /run/secrets/s > /owners; touch /c/x; stat -c %u /c/x >> /owners;"
        " cat /run/secrets/s >> /owners; test $T = sesame\n"
        "RUN --mount=type=cache,target=/c,uid=7 test -e /c/x\n"
    )
    secrets = [f"--secret=id={each},src={tmp_path}/secret" for each in "st"]
    ran = remapped.wherry("build", "-t", "mounting", *secrets, str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _run(remapped, "mounting", "cat", "/owners").split() == ["7", "0", "7", "0", "sesame"]


def test_explained(remapped: Engine) -> None:
    """The user namespace and the mapped layers are in the container's story."""
    container = remapped.docker_ok("run", "-d", "busybox", "sleep", "1000")
    told = remapped.wherry("explain", container).stdout
    assert f"make a user namespace: users 0-{COUNT - 1} as {FIRST}-{FIRST + COUNT - 1}" in told


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("nobody-here", 'error looking up user "nobody-here"'),
        ("nobody:", "invalid user/group specification in --userns-remap"),
        (":nogroup", "invalid user/group specification in --userns-remap"),
        ("root", 'no subuid ranges found for user "root"'),
    ],
)
def test_no_mapping(setting: str, sentence: str) -> None:
    """A daemon whose mapping can't be made does not start, and says why."""
    engine = Engine("--userns-remap", setting)
    try:
        with pytest.raises(AssertionError, match="ended at once") as caught:
            engine.start()
        assert sentence in str(caught.value)
    finally:
        engine.close()


def test_the_network_is_the_containers(remapped: Engine) -> None:
    """Root of the container has raw sockets and, with NET_ADMIN, its interfaces; a container
    on another's network has its own user namespace; `--network none` works too."""
    assert "1 packets received" in _run(remapped, "busybox", "ping", "-c1", "127.0.0.1")
    link = ("ip", "link", "set", "lo", "mtu", "1400")
    _run(remapped, "--cap-add", "NET_ADMIN", "busybox", *link)
    _run(remapped, "--network", "none", "--cap-add", "NET_ADMIN", "busybox", *link)
    refused = remapped.docker("run", "--rm", "busybox", *link)
    assert "ermitted" in refused.stderr
    remapped.docker_ok("run", "-d", "--name", "donor", "busybox", "sleep", "1000")
    assert _run(remapped, "--network", "container:donor", "busybox", "id", "-u") == "0"
    assert "1 packets received" in remapped.docker_ok("exec", "donor", "ping", "-c1", "127.0.0.1")
