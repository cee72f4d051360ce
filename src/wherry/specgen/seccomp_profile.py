"""System call filters: Docker's profiles, and the filter that one makes for a container.

A profile is JSON in moby's format: the specification's filter, with conditions on each rule
(the container's capabilities, architecture, kernel version), and with a table of
sub-architectures in place of a list. Resolving the conditions gives the filter that goes into
the configuration; compiling that gives BPF. Both are cached: containers differ little in this.
"""

import os
from functools import cache, lru_cache

from wherry.linux.seccomp_compiler import compile_filter
from wherry.model.containers import Security
from wherry.model.errors import HostLacks, InvalidValue
from wherry.oci import json_fields
from wherry.oci.json_fields import UINT32, UINT64, Fields
from wherry.oci.runtime_spec import Seccomp, SeccompArgument, SeccompRule
from wherry.specgen.capabilities import container_capabilities
from wherry.specgen.host import HostFacts, parse_kernel_version

UNCONFINED = "unconfined"
BUILTIN = "builtin"

_NATIVE_ARCHITECTURES = {
    "x86": "SCMP_ARCH_X86",
    "amd64": "SCMP_ARCH_X86_64",
    "arm": "SCMP_ARCH_ARM",
    "arm64": "SCMP_ARCH_AARCH64",
    "loong64": "SCMP_ARCH_LOONGARCH64",
    "mips64": "SCMP_ARCH_MIPS64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
}
_CACHED_PROFILES = 64


def seccomp_profile(
    security: Security, capabilities: tuple[str, ...], host: HostFacts
) -> Seccomp | None:
    """The filter of a container with these capabilities; None when it has none.

    A privileged container has no filter, unless it asks for a profile of its own.

    Raises: InvalidValue for a profile that can't be understood.
    """
    if security.seccomp == UNCONFINED:
        return None
    if not security.seccomp and security.is_privileged:
        return None
    profile = "" if security.seccomp == BUILTIN else security.seccomp
    return _resolved(profile, frozenset(capabilities), host.architecture, host.kernel_version)


def container_seccomp(security: Security, host: HostFacts) -> Seccomp | None:
    """The filter of a container and of every process that joins it; None when it has none.

    Raises: InvalidValue for a profile that can't be understood.
    """
    return seccomp_profile(security, container_capabilities(security, host), host)


@lru_cache(maxsize=_CACHED_PROFILES)
def compiled_seccomp(wanted: Seccomp) -> bytes:
    """The program for `linux.seccomp.load_filter`.

    Raises: InvalidValue for a filter with words that libseccomp does not know; HostLacks.
    """
    if wanted.listener_path:
        raise HostLacks("seccomp profile", "a listener for notifications")
    try:
        return compile_filter(wanted)
    except ValueError as error:
        raise InvalidValue(str(error)) from error
    except OSError as error:
        raise HostLacks("seccomp", str(error)) from error


# -- resolving a profile ---------------------------------------------------------------------


@cache
def default_profile_text() -> str:
    """The JSON of the default profile."""
    path = os.path.join(os.path.dirname(__file__), "default_seccomp.json")
    with open(path, encoding="utf-8") as file:
        return file.read()


@lru_cache(maxsize=_CACHED_PROFILES)
def _resolved(
    text: str, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]
) -> Seccomp | None:
    try:
        profile = json_fields.parse(text or default_profile_text())
        return _filter(profile, capabilities, architecture, kernel)
    except ValueError as error:
        raise InvalidValue(f"Decoding seccomp profile failed: {error}") from error


def _filter(
    profile: Fields, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]
) -> Seccomp | None:
    architectures = profile.texts("architectures")
    sub_architectures = list(profile.children("archMap"))
    rules = list(profile.children("syscalls"))
    default_action = profile.text("defaultAction")
    if not default_action and not rules:
        return None
    if architectures and sub_architectures:
        raise InvalidValue(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    native = _NATIVE_ARCHITECTURES.get(architecture, "")
    for entry in sub_architectures:
        if entry.text("architecture") == native:
            architectures = (native, *entry.texts("subArchitectures"))
            break
    return Seccomp(
        default_action=default_action,
        default_errno_ret=profile.number_or_none("defaultErrnoRet", UINT32),
        architectures=architectures,
        flags=profile.texts("flags"),
        listener_path=profile.text("listenerPath"),
        listener_metadata=profile.text("listenerMetadata"),
        syscalls=tuple(
            _rule(rule)
            for rule in rules
            if not _is_excluded(rule.child("excludes"), capabilities, architecture, kernel)
            and _is_included(rule.child("includes"), capabilities, architecture, kernel)
        ),
    )


def _rule(rule: Fields) -> SeccompRule:
    names = rule.texts("names")
    if rule.text("name"):
        if names:
            raise InvalidValue(
                "both 'name' and 'names' are specified in the seccomp profile, "
                "use either 'name' or 'names'"
            )
        names = (rule.text("name"),)
    return SeccompRule(
        names=names,
        action=rule.text("action"),
        errno_ret=rule.number_or_none("errnoRet", UINT32),
        args=tuple(_argument(each) for each in rule.children("args")),
    )


def _argument(argument: Fields) -> SeccompArgument:
    return SeccompArgument(
        index=argument.number("index", UINT32),
        value=argument.number("value", UINT64),
        op=argument.text("op"),
        value_two=argument.number("valueTwo", UINT64),
    )


def _is_excluded(
    condition: Fields, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]
) -> bool:
    """One fitting condition is enough to leave a rule out."""
    return (
        architecture in condition.texts("arches")
        or not capabilities.isdisjoint(condition.texts("caps"))
        or (condition.has("minKernel") and kernel >= _min_kernel(condition))
    )


def _is_included(
    condition: Fields, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]
) -> bool:
    """All conditions must fit to keep a rule."""
    arches = condition.texts("arches")
    return (
        (not arches or architecture in arches)
        and capabilities.issuperset(condition.texts("caps"))
        and (not condition.has("minKernel") or kernel >= _min_kernel(condition))
    )


def _min_kernel(condition: Fields) -> tuple[int, int]:
    text = condition.text("minKernel")
    try:
        return parse_kernel_version(text)
    except ValueError:
        raise ValueError(f'invalid kernel version: "{text}"') from None
