"""Devices, namespaces of others, and security options: the container has what was asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()


def _run(engine: Engine, *arguments: str) -> str:
    return engine.docker_ok("run", "--rm", *arguments)


# -- devices ---------------------------------------------------------------------------------


def test_a_device_under_another_name(engine: Engine) -> None:
    """The node is there, can be used as its letters say, and inspect shows it."""
    flags = ("--device", "/dev/zero:/dev/nothing:r")
    read = "head -c 3 /dev/nothing | wc -c; ls -l /dev/nothing | cut -c1"
    assert _run(engine, *flags, "busybox", "sh", "-c", read).split() == ["3", "c"]
    container = engine.docker_ok("create", *flags, "busybox", "true")
    assert engine.inspect(container)["HostConfig"]["Devices"] == [
        {
            "PathOnHost": "/dev/zero",
            "PathInContainer": "/dev/nothing",
            "CgroupPermissions": "r",
        }
    ]


def test_letters_are_kept(engine: Engine) -> None:
    """Without `w` a device can't be written; without the flag it can't be opened at all."""
    write = "echo x > /dev/kmsg && echo written || echo refused"
    node = "mknod /tmp/kmsg c 1 11; echo x > /tmp/kmsg && echo written || echo refused"
    flags = ("--device", "/dev/kmsg:/dev/kmsg:r")
    assert _run(engine, *flags, "busybox", "sh", "-c", write) == "refused"
    assert _run(engine, "busybox", "sh", "-c", node) == "refused"


def test_a_directory_of_devices(engine: Engine) -> None:
    """Every node below it comes along, at the same place."""
    (Path("/dev") / "net").exists() or pytest.skip("this host has no /dev/net")
    found = _run(engine, "--device", "/dev/net:/dev/nets", "busybox", "ls", "/dev/nets")
    assert "tun" in found.split()


def test_a_link_to_a_device(engine: Engine, tmp_path: Path) -> None:
    """The node that it leads to is given."""
    link = tmp_path / "link"
    link.symlink_to("/dev/full")
    out = _run(engine, "--device", f"{link}:/dev/there", "busybox", "stat", "-c", "%t:%T",
               "/dev/there")  # fmt: skip
    assert out == "1:7"


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/dev/nowhere", "no such file or directory"), ("/etc/passwd", "not a device node")],
)
def test_no_device(engine: Engine, path: str, problem: str) -> None:
    """What is no device is named when the container starts."""
    ran = engine.docker("run", "--device", path, "busybox", "true")
    assert ran.returncode in (125, 127)
    words = f'error gathering device information while adding custom device "{path}": {problem}'
    assert words in ran.stderr


def test_device_rules(engine: Engine) -> None:
    """A rule of its own opens what a container makes itself."""
    node = "mknod /tmp/tun c 10 200; (: < /tmp/tun) 2>/dev/null && echo opened || echo refused"
    flags = ("--device-cgroup-rule", "c 10:200 rwm")
    assert _run(engine, *flags, "busybox", "sh", "-c", node) == "opened"
    assert _run(engine, "busybox", "sh", "-c", node) == "refused"
    answer = engine.api(
        "POST",
        "/containers/create",
        {"Image": "busybox", "HostConfig": {"DeviceCgroupRules": ["c 1:3 x"]}},
    )
    assert answer.status == 400
    assert answer.json["message"] == "invalid device cgroup rule format: 'c 1:3 x'"


def test_devices_of_nobody(engine: Engine) -> None:
    """Without a vendor's parts nobody hands devices out: the error says for what."""
    ran = engine.docker("run", "--rm", "--gpus", "all", "busybox", "true")
    assert ran.returncode == 125
    assert 'could not select device driver "" with capabilities: [[gpu]]' in ran.stderr
    ran = engine.docker("run", "--rm", "--device", "vendor.com/class=one", "busybox", "true")
    assert ran.returncode == 125
    words = "CDI device injection failed: unresolvable CDI devices vendor.com/class=one"
    assert words in ran.stderr


# -- privileges ------------------------------------------------------------------------------


@pytest.mark.slide("23.55")
@pytest.mark.parametrize(
    ("flags", "mask"),
    [
        (("--cap-drop", "ALL"), "0000000000000000"),
        (("--cap-drop", "all", "--cap-add", "NET_ADMIN"), "0000000000001000"),
        (("--cap-drop", "CAP_CHOWN", "--cap-add", "cap_sys_time"), "00000000aa0425fa"),
        (("--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"), None),
    ],
)
def test_capabilities(engine: Engine, flags: tuple[str, ...], mask: str | None) -> None:
    """Names with and without prefix, in any case; ALL both ways."""
    line = _run(engine, *flags, "busybox", "grep", "CapEff", "/proc/self/status")
    found = line.split()[1]
    if mask is None:
        assert int(found, 16) & (1 << 21) == 0
        assert int(found, 16) & (1 << 12)
    else:
        assert found == mask


def test_privileged_exec(engine: Engine) -> None:
    """`exec --privileged` has all capabilities in a container that has few."""
    container = engine.docker_ok("run", "-d", "--cap-drop", "ALL", "busybox", "sleep", "1000")
    show = ("grep", "CapEff", "/proc/self/status")
    plain = engine.docker_ok("exec", container, *show)
    full = engine.docker_ok("exec", "--privileged", container, *show)
    assert int(plain.split()[1], 16) == 0
    assert int(full.split()[1], 16) & (1 << 21)


@pytest.mark.slide("23.56")
def test_profile_of_a_file(engine: Engine, tmp_path: Path) -> None:
    """A profile that refuses mkdir refuses it; `builtin` and `unconfined` are known words."""
    profile = tmp_path / "no-mkdir.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    ran = engine.docker(
        "run", "--rm", "--security-opt", f"seccomp={profile}", "busybox", "mkdir", "/x"
    )
    assert "Operation not permitted" in ran.stderr
    modes = {}
    for word in ("builtin", "unconfined"):
        flags = ("--security-opt", f"seccomp={word}")
        modes[word] = _run(engine, *flags, "busybox", "grep", "Seccomp:", "/proc/self/status")
    assert {word: line.split()[1] for word, line in modes.items()} == {
        "builtin": "2",
        "unconfined": "0",
    }


def test_no_new_privileges(engine: Engine) -> None:
    """All spellings that the stock client passes on."""
    for option, expected in (
        ("no-new-privileges", "1"),
        ("no-new-privileges=true", "1"),
        ("no-new-privileges:true", "1"),
        ("no-new-privileges=false", "0"),
    ):
        out = _run(engine, "--security-opt", option, "busybox", "grep", "NoNewPrivs",
                   "/proc/self/status")  # fmt: skip
        assert out.split()[1] == expected


def test_system_paths(engine: Engine) -> None:
    """`systempaths=unconfined` hides nothing and protects nothing."""
    flags = ("--security-opt", "systempaths=unconfined")
    mounts = _run(engine, *flags, "busybox", "cat", "/proc/mounts")
    assert " /proc/sys " not in mounts
    assert " /proc/sys " in _run(engine, "busybox", "cat", "/proc/mounts")


def test_writable_cgroups(engine: Engine) -> None:
    """The cgroup mount may be written to, and only that."""
    make = (
        "cd /sys/fs/cgroup; [ -d memory ] && cd memory;"
        " mkdir mine 2>/dev/null && echo made || echo refused"
    )
    for word, outcome in (("true", "made"), ("false", "refused")):
        flags = ("--security-opt", f"writable-cgroups={word}", "--cgroupns", "private")
        assert _run(engine, *flags, "busybox", "sh", "-c", make) == outcome


def test_options_of_absent_modules(engine: Engine) -> None:
    """A profile or label that this kernel can't keep is told, and the container runs."""
    if Path("/sys/module/apparmor").exists():
        pytest.skip("this host has no lack of AppArmor")
    flags = ("--security-opt", "apparmor=mine", "--security-opt", "label=type:mine")
    ran = engine.docker("run", "--rm", *flags, "busybox", "true")
    assert ran.returncode == 0
    assert "does not support AppArmor" in ran.stderr
    assert "does not support SELinux" in ran.stderr
    for quiet in ("apparmor=unconfined", "label=disable"):
        ran = engine.docker("run", "--rm", "--security-opt", quiet, "busybox", "true")
        assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["nonsense"], 'invalid --security-opt 1: "nonsense"'),
        (["colour=red"], 'invalid --security-opt 2: "colour=red"'),
        (["no-new-privileges=maybe"], 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        (["writable-cgroups=maybe"], 'invalid --security-opt 2: "writable-cgroups=maybe"'),
        (["label=colour:red"], "bad label option 'colour:red'"),
        (["seccomp=nowhere"], "Decoding seccomp profile failed"),
    ],
)
def test_no_security_option(engine: Engine, options: list[str], sentence: str) -> None:
    """Each is refused at create, in Docker's words where it has some."""
    body = {"Image": "busybox", "HostConfig": {"SecurityOpt": options}}
    answer = engine.api("POST", "/containers/create", body)
    assert answer.status == 400
    assert sentence in answer.json["message"]


# -- namespaces ------------------------------------------------------------------------------


def test_isolation(engine: Engine) -> None:
    """There is one kind, `default`."""
    assert _run(engine, "--isolation", "default", "busybox", "echo", "ran") == "ran"
    ran = engine.docker("create", "--isolation", "hyperv", "busybox", "true")
    assert "linux only supports 'default'" in ran.stderr


def test_processes_of_others(engine: Engine) -> None:
    """`--pid container:` sees that container's processes, `--pid host` the host's."""
    engine.docker_ok("run", "-d", "--name", "seen", "busybox", "sleep", "4242")
    shared = _run(engine, "--pid", "container:seen", "busybox", "ps")
    assert "sleep 4242" in shared
    assert "wherryd" in _run(engine, "--pid", "host", "busybox", "ps")
    assert "sleep 4242" not in _run(engine, "busybox", "ps")


def test_names_of_the_host(engine: Engine) -> None:
    """`--uts host` has the host's name."""
    name = engine.api("GET", "/info").json["Name"]
    assert _run(engine, "--uts", "host", "busybox", "hostname") == name
    ran = engine.docker("run", "--uts", "host", "--hostname", "x", "busybox", "true")
    assert "conflicting options: hostname and the UTS mode" in ran.stderr


@pytest.mark.slide("23.47")
def test_shared_memory_of_others(engine: Engine) -> None:
    """A shareable container's memory can be joined, a private one's not; `none` has none."""
    engine.docker_ok("run", "-d", "--name", "giver", "--ipc", "shareable", "busybox", "sh", "-c",
                     "echo told > /dev/shm/x; exec sleep 1000")  # fmt: skip
    read = ("busybox", "sh", "-c", "until cat /dev/shm/x 2>/dev/null; do :; done")
    assert _run(engine, "--ipc", "container:giver", *read) == "told"
    engine.docker_ok("run", "-d", "--name", "miser", "busybox", "sleep", "1000")
    ran = engine.docker("run", "--ipc", "container:miser", "busybox", "true")
    assert ran.returncode == 125
    assert "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in ran.stderr
    assert "/dev/shm" not in _run(engine, "--ipc", "none", "busybox", "cat", "/proc/mounts")


def test_groups(engine: Engine) -> None:
    """`--group-add` by name and by number."""
    out = _run(engine, "--group-add", "1234", "--group-add", "nobody", "busybox", "id", "-G")
    assert {"1234", "65534"} <= set(out.split())


def test_sysctls(engine: Engine) -> None:
    """A parameter of the container's own namespace is set there alone."""
    flags = ("--sysctl", "net.core.somaxconn=77", "--sysctl", "kernel.shmmni=99")
    show = "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmni"
    assert _run(engine, *flags, "busybox", "sh", "-c", show).split() == ["77", "99"]
    body = {"Image": "busybox", "HostConfig": {"Sysctls": {"vm.swappiness": "1"}}}
    answer = engine.api("POST", "/containers/create", body)
    assert answer.status == 400
    assert "is not in a separate kernel namespace" in answer.json["message"]


def test_annotations(engine: Engine) -> None:
    """They are kept and shown."""
    container = engine.docker_ok("create", "--annotation", "org.example=1", "busybox", "true")
    assert engine.inspect(container)["HostConfig"]["Annotations"] == {"org.example": "1"}
