"""Reading the values of the daemon's options, with dockerd's words for a wrong one.

A value comes from a flag, already of the flag's kind, or from the configuration file, as JSON
has it. Each reader takes the key that a complaint names. All raise ValueError.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from wherry.kit.byte_sizes import parse_size

DEFAULT_LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}
"""Three files of 20 MB: a forgotten container does not fill the disk."""

MirrorValue = tuple[str, str]
"""The registry that a mirror answers for, and the mirror's URL."""

UlimitValue = tuple[str, int, int]
"""Name, soft, hard; -1: unlimited."""


def read_switch(key: str, value: object) -> bool:
    """True or false."""
    return value if isinstance(value, bool) else _refuse(key, "true or false", value)


def read_text(key: str, value: object) -> str:
    """A text."""
    return value if isinstance(value, str) else _refuse(key, "a text", value)


def read_number(key: str, value: object) -> int:
    """A whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _refuse(key, "a whole number", value)


def read_counts(key: str, value: object) -> int:
    """A number that is not negative, as of `max-concurrent-downloads`."""
    number = read_number(key, value)
    if number < 0:
        raise ValueError(f"invalid {key.replace('-', ' ')}: {number}")
    return number


def read_bytes(key: str, value: object) -> int:
    """A size: a number of bytes, or `64m`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return parse_size(read_text(key, value))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def read_texts(key: str, value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return _refuse(key, "a list of texts", value)
    return tuple(value)


def read_mirrors(key: str, value: object) -> tuple[MirrorValue, ...]:
    """Mirrors: a list is for Docker Hub, a map has a list for each registry.

    As a flag, which is no map, `REGISTRY=URL` names another registry than Docker Hub.
    """
    if isinstance(value, dict):
        return tuple(
            (registry, _mirror(url))
            for registry, urls in value.items()
            for url in read_texts(f"{key}.{registry}", urls)
        )
    return tuple(_named_mirror(text) for text in read_texts(key, value))


def _named_mirror(text: str) -> MirrorValue:
    registry, equals, url = text.partition("=")
    if equals and "://" not in registry:
        return registry, _mirror(url)
    return "docker.io", _mirror(text)


def _mirror(text: str) -> str:
    """A mirror's URL, with the slash that Docker shows."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError(
            f'invalid mirror: unsupported scheme "{parts.scheme}" in "{text}"'
            if parts.scheme
            else f'invalid mirror: no scheme specified for "{text}": must use either '
            "'https://' or 'http://'"
        )
    if not parts.hostname:
        raise ValueError(f'invalid mirror: "{text}" names no host')
    if parts.username is not None:
        raise ValueError(
            f'invalid mirror: username/password not allowed in URI "{parts.hostname}"'
        )
    if parts.query or parts.fragment:
        raise ValueError(f'invalid mirror: query, or fragment at end of the URI "{text}"')
    return text.rstrip("/") + "/"


def read_attempts(key: str, value: object) -> int:
    """A number of at least one."""
    number = read_number(key, value)
    if number < 1:
        raise ValueError(f"invalid {key.replace('-', ' ')}: {number}")
    return number


def read_address(key: str, value: object) -> str:
    """An IP address."""
    return _address(key, read_text(key, value))


def read_addresses(key: str, value: object) -> tuple[str, ...]:
    """A list of IP addresses."""
    return tuple(_address(key, each) for each in read_texts(key, value))


def read_ipv4_address(key: str, value: object) -> str:
    """An IPv4 address; "any" is none."""
    return _of_version(key, read_address(key, value), 4)


def read_ipv6_address(key: str, value: object) -> str:
    """An IPv6 address; "any" is none."""
    return _of_version(key, read_address(key, value), 6)


def _of_version(key: str, text: str, version: int) -> str:
    address = ipaddress.ip_address(text)
    if address.version != version:
        raise ValueError(f"{key}: {text} is not an IPv{version} address")
    return "" if address.is_unspecified else text


_MARK = re.compile(r"(0x[0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9})(?:/(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?")
_ALL_BITS = "0xffffffff"


def read_mark(key: str, value: object) -> str:
    """A mark of packets and its mask, `1` or `0x1/0xff`, in one form."""
    text = read_text(key, value)
    found = _MARK.fullmatch(text)
    numbers = [int(each or _ALL_BITS, 0) for each in found.groups()] if found else [-1]
    if not all(0 <= each <= int(_ALL_BITS, 0) for each in numbers):
        raise ValueError(f"{key}: {text} is not MARK or MARK/MASK of 32 bits")
    return "/".join(f"{each:#x}" for each in numbers)


def read_firewall_backend(key: str, value: object) -> str:
    """Which there is."""
    text = read_text(key, value)
    if text != "nftables":
        raise ValueError(
            f"{key}: {text} is not there, only nftables: a table of its own, beside which rules of"
            " iptables stand"
        )
    return text


def read_mtu(key: str, value: object) -> int:
    """A size of packets; zero: the kernel's."""
    mtu = read_number(key, value)
    if mtu and not 68 <= mtu <= 65535:
        raise ValueError(f"{key}: {mtu} is not between 68 and 65535")
    return mtu


def read_network_options(key: str, value: object) -> dict[str, dict[str, str]]:
    """`bridge=name=value` of the flag, or an object of objects in the file: by driver."""
    if isinstance(value, dict):
        return {driver: _pairs(f"{key}.{driver}", pairs) for driver, pairs in value.items()}
    found: dict[str, dict[str, str]] = {}
    for each in read_texts(key, value):
        driver, _, pair = each.partition("=")
        name, equals, content = pair.partition("=")
        if not (driver and name and equals):
            raise ValueError(f"{key}: {each!r} is not driver=option=value")
        found.setdefault(driver, {})[name] = content
    return found


def _address(key: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{key}: IP address is not correctly formatted: {text}") from None


def read_labels(key: str, value: object) -> tuple[str, ...]:
    """Labels; the same one may not have two values."""
    found: dict[str, str] = {}
    for label in read_texts(key, value):
        name, equals, content = label.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{key}: bad attribute format: {label}")
        if found.setdefault(name, content) != content:
            raise ValueError(f"conflict labels for {name}={content} and {name}={found[name]}")
    return tuple(f"{name}={content}" for name, content in found.items())


def read_log_options(key: str, value: object) -> dict[str, str]:
    """Options of the default log driver, on top of our own defaults."""
    return {**DEFAULT_LOG_OPTIONS, **_pairs(key, value)}


def read_storage_options(key: str, value: object) -> dict[str, str]:
    """Options of the storage driver: which ones there are, it knows itself."""
    return _pairs(key, value)


def _pairs(key: str, value: object) -> dict[str, str]:
    if isinstance(value, dict):
        if not all(isinstance(each, str) for each in value.values()):
            _refuse(key, "an object of texts", value)
        return value
    pairs = {}
    for each in read_texts(key, value):
        name, equals, content = each.partition("=")
        if not equals:
            raise ValueError(f"{key}: {each!r} is not name=value")
        pairs[name] = content
    return pairs


def read_switches(key: str, value: object) -> dict[str, bool]:
    """An object of names that are on or off."""
    if not isinstance(value, dict):
        return _refuse(key, "an object", value)
    return {name: read_switch(f"{key}.{name}", each) for name, each in value.items()}


def check_exec_options(key: str, value: object) -> tuple[str, ...]:
    """`native.cgroupdriver=cgroupfs`, the only one that dockerd knows too."""
    options = read_texts(key, value)
    for option in options:
        name, equals, content = (part.strip() for part in option.partition("="))
        if not equals or not name or not content:
            raise ValueError(f"invalid exec-opt ({option}): must be formatted 'opt=value'")
        match name.lower():
            case "native.cgroupdriver" if content == "cgroupfs":
                pass
            case "native.cgroupdriver" if content == "systemd":
                raise ValueError(
                    f"exec-opt {option} is not there yet: cgroups are made by way of cgroupfs"
                )
            case "native.cgroupdriver":
                raise ValueError(f"invalid exec-opt ({option}): choose from cgroupfs, systemd")
            case "isolation":
                raise ValueError(
                    f"invalid exec-opt ({option}): option 'isolation' is only supported on windows"
                )
            case unknown:
                raise ValueError(f"invalid exec-opt ({option}): unknown option: '{unknown}'")
    return options


_RLIMITS = frozenset({
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
    "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip


PoolValue = tuple[str, int]
"""A subnet to cut networks from, and the prefix length of each."""


def read_pools(key: str, value: object) -> tuple[PoolValue, ...]:
    """`base=10.10.0.0/16,size=24` of the flag, or objects of the file. Raises: ValueError."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return tuple(_pool(key, {str(k): str(v) for k, v in each.items()}) for each in value)
    words = read_texts(key, value)
    return tuple(
        _pool(key, dict(field.partition("=")[::2] for field in word.split(","))) for word in words
    )


def _pool(key: str, given: dict[str, str]) -> PoolValue:
    if set(given) != {"base", "size"}:
        raise ValueError(f"{key}: a pool has a base and a size, and nothing else")
    base, size = given["base"].strip(), given["size"].strip()
    try:
        subnet = ipaddress.ip_network(base)
    except ValueError:
        raise ValueError(f"{key}: invalid base: {base}") from None
    room = subnet.max_prefixlen - 2
    if not (size.isascii() and size.isdigit() and subnet.prefixlen <= int(size) <= room):
        raise ValueError(
            f"{key}: invalid size {size} for {base}: must be {subnet.prefixlen} to {room}"
        )
    return str(subnet), int(size)


def read_ulimits(key: str, value: object) -> tuple[UlimitValue, ...]:
    """`nofile=1024:2048` of flags; in the file an object of `{"Name", "Soft", "Hard"}`."""
    if isinstance(value, Mapping):
        return tuple(_ulimit_of_file(key, name, each) for name, each in value.items())
    chosen = {each[0]: each for each in (_ulimit(key, t) for t in read_texts(key, value))}
    return tuple(chosen.values())


def _ulimit_of_file(key: str, name: str, value: object) -> UlimitValue:
    place = f"{key}.{name}"
    if not isinstance(value, dict):
        _refuse(place, "an object with Name, Soft and Hard", value)
    fields = {each.lower(): content for each, content in value.items()}
    unknown = sorted(fields.keys() - {"name", "soft", "hard"})
    if unknown:
        raise ValueError(f"{place} has no field {unknown[0]}")
    limit = read_text(f"{place}.Name", fields.get("name", name))
    soft = read_number(f"{place}.Soft", fields.get("soft", 0))
    hard = read_number(f"{place}.Hard", fields.get("hard", 0))
    return _checked_ulimit(place, limit, soft, hard)


def _ulimit(key: str, text: str) -> UlimitValue:
    name, equals, numbers = text.partition("=")
    if not equals:
        raise ValueError(f"{key}: invalid ulimit argument: {text}")
    parts = numbers.split(":")
    if len(parts) > 2:
        raise ValueError(f"{key}: too many limit value arguments - {numbers}, can only have up"
                         " to two, `soft[:hard]`")  # fmt: skip
    try:
        soft = int(parts[0])
        hard = int(parts[-1])
    except ValueError:
        raise ValueError(f"{key}: invalid ulimit argument: {text}") from None
    return _checked_ulimit(key, name, soft, hard)


def _checked_ulimit(key: str, name: str, soft: int, hard: int) -> UlimitValue:
    if name not in _RLIMITS:
        raise ValueError(f"{key}: invalid ulimit type: {name}")
    if hard != -1 and (soft == -1 or soft > hard):
        shown = "-1" if soft == -1 else str(soft)
        raise ValueError(
            f"{key}: ulimit soft limit must be less than or equal to hard limit: {shown} > {hard}"
        )
    return name, soft, hard


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """One of a few words."""
    if value not in choices:
        raise ValueError(f"{key} {value!r} is not there: choose from {', '.join(choices)}")


def _refuse(key: str, wanted: str, value: object) -> NoReturn:
    raise ValueError(f"{key} must be {wanted}, not {value!r}")


_OUR_RUNTIMES = ("wherry", "wherry-runtime", "io.containerd.runc.v2")
_DEBIANS_RUNTIMES = ("runc", "crun", "runsc")


def read_runtimes(key: str, value: object) -> dict[str, tuple[str, ...]]:
    """OCI runtimes: `name=path` of flags, or the file's objects with path and runtimeArgs."""
    if isinstance(value, dict):
        return {name: _runtime_command(name, members) for name, members in value.items()}
    found = {}
    for text in read_texts(key, value):
        name, equals, path = text.partition("=")
        if not equals:
            raise ValueError(f"{key}: {text!r} is not name=path")
        found[name] = _runtime_command(name, {"path": path})
    return found


def _runtime_command(name: str, members: object) -> tuple[str, ...]:
    if name in _OUR_RUNTIMES or not name:
        raise ValueError(f"runtime name '{name}' is reserved")
    if not isinstance(members, dict):
        raise ValueError(f"runtimes[{name}] must be an object, not {members!r}")
    if "runtimeType" in members or "options" in members:
        raise ValueError(
            f"runtimes[{name}]: runtimeType names a shim of containerd, which is not used here:"
            " give the path of an OCI runtime"
        )
    path = read_text(f"runtimes[{name}].path", members.get("path", ""))
    if not path:
        raise ValueError(f"runtimes[{name}]: a path must be configured")
    return (path, *read_texts(f"runtimes[{name}].runtimeArgs", members.get("runtimeArgs", [])))


def check_runtime(name: str, configured: Mapping[str, object]) -> None:
    """Raises: ValueError for a default runtime that is nowhere."""
    if name not in (*_OUR_RUNTIMES, *_DEBIANS_RUNTIMES, *configured):
        raise ValueError(f"specified default runtime '{name}' does not exist")
