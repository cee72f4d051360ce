"""Containers under AppArmor, where the kernel enforces it: in the virtual machine of
`make vm-test`, and on hosts that have it."""

import subprocess

import pytest

from support.daemon import Engine
from wherry.linux import apparmor

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not apparmor.is_enabled(), reason="this kernel has no AppArmor"),
    pytest.mark.timeout(600),
]

CURRENT = ("cat", "/proc/self/attr/current")
ENFORCED = "wherry-default (enforce)"


@pytest.mark.slide("23.57")
def test_the_default_profile(engine: Engine) -> None:
    """It is loaded, enforced for run and exec, and shown by info and inspect."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    assert engine.docker_ok("exec", container, "cat", "/proc/1/attr/current") == ENFORCED
    assert engine.docker_ok("exec", container, *CURRENT) == ENFORCED
    assert engine.docker_ok("exec", "-u", "1000", container, *CURRENT) == ENFORCED
    assert engine.docker_ok("exec", "-it=false", "--privileged", container, *CURRENT) == ENFORCED
    assert engine.inspect(container)["AppArmorProfile"] == "wherry-default"
    options = engine.api("GET", "/info").json["SecurityOptions"]
    assert options[:2] == ["name=apparmor", "name=seccomp,profile=builtin"]


@pytest.mark.parametrize(
    ("flags", "seen"),
    [
        (("--security-opt", "apparmor=unconfined"), "unconfined"),
        (("--security-opt", "apparmor:unconfined"), "unconfined"),
        (("--security-opt", "apparmor=wherry-default"), ENFORCED),
        (("--security-opt", "no-new-privileges"), ENFORCED),
        (("--privileged",), "unconfined"),
    ],
)
def test_profiles_by_name(engine: Engine, flags: tuple[str, ...], seen: str) -> None:
    """`--security-opt apparmor=NAME`, and no profile for privileged containers."""
    assert engine.docker_ok("run", "--rm", *flags, "busybox", *CURRENT) == seen


def test_an_unknown_profile(engine: Engine) -> None:
    """A profile that is not loaded is no container, and leaves nothing."""
    before = engine.census()
    refused = engine.docker("run", "--rm", "--security-opt", "apparmor=no-such", "busybox", "true")
    assert refused.returncode == 125
    assert "profile no-such: the kernel has no profile of this name" in refused.stderr
    assert engine.leaks_since(before, within_s=60) == []


def test_a_profile_of_ones_own(engine: Engine) -> None:
    """A profile that somebody else loaded is obeyed."""
    text = "profile own-rules { file, network, capability, deny /etc/passwd r, }"
    subprocess.run(["apparmor_parser", "-Kr"], input=text, text=True, check=True)
    flags = ("--rm", "--security-opt", "apparmor=own-rules")
    ran = engine.docker("run", *flags, "busybox", "sh", "-c", "cat /etc/group; cat /etc/passwd")
    assert "root:" in ran.stdout
    assert "'/etc/passwd': Permission denied" in ran.stderr


WALLS = (
    "echo x > /proc/sys/kernel/core_pattern",
    "echo x > /proc/sys/vm/panic_on_oom",
    "echo h > /proc/sysrq-trigger",
    "head -c 1 /proc/kcore",
    "echo x > /sys/kernel/mm/ksm/run",
    "ls /sys/firmware/x",
    "mount -t tmpfs none /mnt",
    "mount -o bind /etc /mnt",
    "mount -t proc proc /mnt",
    "cat /sys/kernel/security/apparmor/profiles",
)


def test_the_second_wall(engine: Engine) -> None:
    """With every capability, no filter, no mask and no read-only path, the profile still denies
    what is the host's; without the profile the same calls reach it."""
    config = {
        "HostConfig": {
            "CapAdd": ["ALL"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
            "SecurityOpt": ["seccomp=unconfined"],
        }
    }
    script = "mount -o remount,rw /sys 2>/dev/null; mkdir -p /mnt; " + "".join(
        f"({wall}) >/dev/null 2>&1 && echo '{wall}'; " for wall in WALLS
    )
    container = engine.create("sh", "-c", f"{script} true", **config, name="walled")
    engine.docker_ok("start", "-a", container)
    assert engine.docker_ok("logs", "walled") == ""
    # The mutant: the same container without the profile comes through.
    config["HostConfig"]["SecurityOpt"] = ["seccomp=unconfined", "apparmor=unconfined"]
    engine.create("sh", "-c", f"{script} true", **config, name="open")
    engine.docker_ok("start", "-a", "open")
    came_through = engine.docker_ok("logs", "open").splitlines()
    assert {wall for wall in WALLS if wall.startswith("mount")} <= set(came_through)


def test_ordinary_work_is_not_in_the_way(engine: Engine) -> None:
    """Files, processes, signals, tracing one another, network and tmpfs work as ever."""
    script = (
        "sleep 1000 & kill %1; echo y > /tmp/x; ln /tmp/x /dev/shm/../../tmp/z; cat /tmp/z;"
        " chown 1000 /tmp/z; ls -l /proc/1/exe > /dev/null; ping -c 1 127.0.0.1 > /dev/null;"
        " echo 1 > /proc/self/oom_score_adj; cat /proc/sys/kernel/shmmax > /dev/null; echo done"
    )
    assert engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script) == "y\ndone"
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    engine.docker_ok("kill", container)
    engine.docker_ok("start", container)
    engine.docker_ok("stop", "-t", "1", container)


def test_a_profile_that_was_taken_out(engine: Engine) -> None:
    """Removed from the kernel by somebody else, it is loaded again at the next start."""
    engine.docker_ok("run", "--rm", "busybox", "true")
    removed = "wherry-default"
    with open("/sys/kernel/security/apparmor/.remove", "w") as file:
        file.write(removed)
    assert not apparmor.is_loaded(removed)
    assert engine.docker_ok("run", "--rm", "busybox", *CURRENT) == ENFORCED
