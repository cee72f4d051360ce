"""Limits and devices: `--ulimit`, `--cpus`, `--device`, block I/O, restart policies."""

import re

from wherry.cli.flags import read_size
from wherry.client.documents import Document

ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_RULE = re.compile(r"[acb] (?:[0-9]+|\*):(?:[0-9]+|\*) [rwm]{1,3}")
_CDI_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9_-]+=[A-Za-z0-9._:-]+")
_WHOLE = re.compile(r"-?[0-9]{1,19}")


def read_cpus(text: str) -> int:
    """Billionths of a CPU. Raises: ValueError."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"failed to parse {text} as a rational number")
    from fractions import Fraction  # With its decimals it is slow to import.

    billionths = Fraction(text) * 1_000_000_000
    if billionths.denominator != 1:
        raise ValueError("value is too precise")
    return int(billionths)


def read_ulimit(text: str) -> Document:
    """`nofile=1024:2048`. Raises: ValueError with go-units' text."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    soft_text, colon, hard_text = values.partition(":")
    if ":" in hard_text:
        raise ValueError(
            f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
        )
    soft = _whole(soft_text)
    hard = _whole(hard_text) if colon else soft
    if hard != -1 and (soft == -1 or soft > hard):
        shown = "-1" if soft == -1 else str(soft)
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: {shown} > {hard}"
        )
    return {"Name": name, "Soft": soft, "Hard": hard}


def is_cdi_device(text: str) -> bool:
    """Whether it is a device of the Container Device Interface: vendor.com/class=name."""
    return _CDI_DEVICE.fullmatch(text) is not None


def device_mapping(text: str) -> Document:
    """The API's device of one `--device`. Raises: ValueError."""
    host, inside, mode = _device_parts(text)
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": mode}


def _device_parts(text: str) -> tuple[str, str, str]:
    host, *rest = text.split(":")
    inside, mode = host, "rwm"
    if len(rest) > 2 or "" in (host, *rest):
        raise ValueError(f"bad format for path: {text}")
    if len(rest) == 2:
        inside, mode = rest
        if not _is_mode(mode):
            raise ValueError(f"bad mode specified: {mode}")
    elif rest and _is_mode(rest[0]):
        mode = rest[0]
    elif rest:
        inside = rest[0]
    if not inside.startswith("/"):
        raise ValueError(f"{inside} is not an absolute path")
    return host, inside, mode


def _is_mode(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def read_device_rule(text: str) -> str:
    """`c 1:3 rwm`. Raises: ValueError."""
    if not _RULE.fullmatch(text):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def read_device_weight(text: str) -> Document:
    """`/dev/sda:100`. Raises: ValueError."""
    path, weight = _device_and_value(text)
    if not _WHOLE.fullmatch(weight) or not (int(weight) == 0 or 10 <= int(weight) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(weight)}


def read_bytes_rate(text: str) -> Document:
    """`/dev/sda:1mb`. Raises: ValueError."""
    path, rate = _device_and_value(text)
    try:
        return {"Path": path, "Rate": read_size(rate)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            "<device-path>:<number>[<unit>]. Number must be a positive integer. "
            "Unit is optional and can be kb, mb, or gb"
        ) from None


def read_operations_rate(text: str) -> Document:
    """`/dev/sda:1000`. Raises: ValueError."""
    path, rate = _device_and_value(text)
    if not rate.isascii() or not rate.isdigit():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rate)}


def _device_and_value(text: str) -> tuple[str, str]:
    path, _, value = text.partition(":")
    if not path or not value:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def restart_policy(text: str) -> Document:
    """`on-failure:5`. Raises: ValueError with Docker's text."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    retries = 0
    if count:
        if not _WHOLE.fullmatch(count):
            raise ValueError(
                "invalid restart policy format: maximum retry count must be an integer"
            )
        retries = int(count)
    return {"Name": name, "MaximumRetryCount": retries}


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)
