"""Small pure parts of operations: options of mounts, parameters, device rules, secrets."""

import pytest

from wherry.linux import mounts as kernel
from wherry.oci.runtime_spec import Mount
from wherry.operations.files.mounts import attribute_masks
from wherry.operations.processes.cgroups import device_rule_text
from wherry.operations.processes.process import masked_variable
from wherry.operations.processes.sysctls import parameter_path
from wherry.runtime.mount_options import MountWords, mount_words


@pytest.mark.parametrize(
    ("words", "set_", "clear"),
    [
        ((), 0, 0),
        (("ro", "nosuid"), kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID, 0),
        (("ro", "rw"), 0, kernel.MOUNT_ATTR_RDONLY),
        (("noatime",), kernel.MOUNT_ATTR_NOATIME, kernel.MOUNT_ATTR__ATIME),
        (("exec", "noexec"), kernel.MOUNT_ATTR_NOEXEC, kernel.MOUNT_ATTR_NOEXEC),
    ],
)
def test_attribute_masks(words: tuple[str, ...], set_: int, clear: int) -> None:
    """Later words have the say; access times are a field of several bits."""
    assert attribute_masks(words) == (set_, clear)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (
            Mount(destination="/t", type="tmpfs", options=("size=1m", "ro", "noswap")),
            MountWords(
                is_bind=False, is_recursive=False, attributes=("ro",), recursive_attributes=(),
                propagation="", options=(("size", "1m"), ("noswap", None)),
            ),
        ),
        (
            Mount(destination="/v", source="/s", options=("rbind", "rro", "ro", "rslave")),
            MountWords(
                is_bind=True, is_recursive=True, attributes=("ro",), recursive_attributes=("ro",),
                propagation="rslave", options=(),
            ),
        ),
        (
            Mount(destination="/v", type="bind", source="/s", options=("defaults",)),
            MountWords(
                is_bind=True, is_recursive=False, attributes=(), recursive_attributes=(),
                propagation="", options=(),
            ),
        ),
    ],
)  # fmt: skip
def test_mount_words(mount: Mount, expected: MountWords) -> None:
    """Options are sorted by who understands them."""
    assert mount_words(mount) == expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.5/forwarding", "net/ipv4/conf/eth0.5/forwarding"),
        ("net.ipv4.conf.eth0/5.forwarding", "net/ipv4/conf/eth0.5/forwarding"),
    ],
)
def test_parameter_path(name: str, path: str) -> None:
    """As sysctl(8) reads names, with an interface that has a dot."""
    assert parameter_path(name) == path


@pytest.mark.parametrize("name", ["", ".", "a..b", "../x", "a/../b", "/abs", "a.", "a/\0"])
def test_no_parameter(name: str) -> None:
    """What could leave /proc/sys, or is nothing, is refused."""
    with pytest.raises(ValueError, match="not a kernel parameter"):
        parameter_path(name)


def test_device_rule_text() -> None:
    """The words of devices.allow."""
    assert device_rule_text("c", 1, 3, "rwm") == "c 1:3 rwm"
    assert device_rule_text("a", None, None, "rwm") == "a *:* rwm"
    assert device_rule_text("b", 8, None, "r") == "b 8:* r"


@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        ("PATH=/bin", "PATH=/bin"),
        ("DB_PASSWORD=a=b", "DB_PASSWORD=***"),
        ("aws_secret_access_key=x", "aws_secret_access_key=***"),
        ("GITHUB_TOKEN=", "GITHUB_TOKEN=***"),
        ("TOKEN", "TOKEN"),
    ],
)
def test_masked_variable(variable: str, shown: str) -> None:
    """Values of names that sound like secrets are not for journals."""
    assert masked_variable(variable) == shown
