"""Facts about this host, as far as any host has them."""

import os
import platform

import pytest

from wherry.linux.capabilities import NAMES
from wherry.specgen import read_host_devices, read_host_facts
from wherry.specgen.host import parse_kernel_version


def test_facts_of_this_host() -> None:
    """What is read agrees with other ways to ask."""
    facts = read_host_facts()
    assert facts.kernel_version >= (5, 10)
    assert platform.release().startswith("{}.{}".format(*facts.kernel_version))
    assert facts.hostname == os.uname().nodename
    assert facts.processors == os.cpu_count()
    assert facts.cpuset_cpus[0].isdigit()
    assert set(facts.capabilities) <= set(NAMES)
    assert all(os.path.isdir(each) for each in facts.thermal_throttle)
    assert facts.sysctls <= {"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"}


def test_devices_of_this_host() -> None:
    """The null device is among them; terminals, links and directories are not."""
    devices = {each.path: each for each in read_host_devices()}
    null = devices["/dev/null"]
    assert (null.type, null.major, null.minor) == ("c", 1, 3)
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in devices)
    assert "/dev/stdin" not in devices
    assert "/dev/console" not in devices
    assert list(devices) == sorted(devices, key=lambda path: path.split("/"))


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.1.0-18-amd64", (6, 1)),
        ("6.18.44", (6, 18)),
        ("5.10", (5, 10)),
        ("4.8-rc1", (4, 8)),
        ("6.6+", (6, 6)),
    ],
)
def test_kernel_versions(release: str, version: tuple[int, int]) -> None:
    """The first two numbers of a release."""
    assert parse_kernel_version(release) == version


@pytest.mark.parametrize("release", ["", "6", "6.", "x.y", "6.x", "\u0666.1", "-1.2"])
def test_what_is_no_kernel_version(release: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="not a kernel release"):
        parse_kernel_version(release)
