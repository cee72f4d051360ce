"""The daemon's `userns-remap`: from a user's name to ranges of the host's ids.

Ranges come from /etc/subuid and /etc/subgid (subuid(5)). `default` is the user dockremap, who is
made with ranges of its own where there is none, by the host's own tools.
"""

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator

from wherry.oci.runtime_spec import IdMapping
from wherry.programs.settings import SettingsError
from wherry.specgen import RemappedIds

DEFAULT_USER = "dockremap"
SUBUID, SUBGID = "/etc/subuid", "/etc/subgid"
_FIRST_ID, _RANGE = 100_000, 65_536


def remapped_ids(setting: str) -> RemappedIds:
    """The mapping of `userns-remap`. Raises: SettingsError with one sentence."""
    if setting == "default":
        _make_default_user()
        setting = DEFAULT_USER
    user_text, colon, group_text = setting.partition(":")
    if not user_text or (colon and not group_text) or ":" in group_text:
        raise SettingsError(f'invalid user/group specification in --userns-remap: "{setting}"')
    user = _user(user_text)
    group = _group(group_text or user.pw_name)
    return RemappedIds(
        uids=_mappings(SUBUID, user.pw_name, user.pw_uid, "subuid"),
        gids=_mappings(SUBGID, group.gr_name, group.gr_gid, "subgid"),
    )


def _user(text: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(text)) if text.isascii() and text.isdigit() else pwd.getpwnam(text)
    except (KeyError, OverflowError):
        raise SettingsError(f'userns-remap: error looking up user "{text}"') from None


def _group(text: str) -> grp.struct_group:
    try:
        return grp.getgrgid(int(text)) if text.isascii() and text.isdigit() else grp.getgrnam(text)
    except (KeyError, OverflowError):
        raise SettingsError(f'userns-remap: error looking up group "{text}"') from None


def _mappings(path: str, name: str, number: int, what: str) -> tuple[IdMapping, ...]:
    """The ranges of a name or its number, one after the other from 0. Raises: SettingsError."""
    mappings, inside = [], 0
    for owner, first, size in _ranges(path):
        if owner in (name, str(number)):
            mappings.append(IdMapping(container_id=inside, host_id=first, size=size))
            inside += size
    if not mappings:
        raise SettingsError(
            f'Can\'t create ID mappings: no {what} ranges found for user "{name}" in {path}'
        )
    return tuple(mappings)


def _ranges(path: str) -> Iterator[tuple[str, int, int]]:
    """Lines `name:first:count`. Raises: SettingsError for one that is none."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        owner, _, rest = text.partition(":")
        first, _, size = rest.partition(":")
        if not (owner and first.isdigit() and size.isdigit() and int(size)):
            raise SettingsError(f'cannot parse subuid/gid information in {path}: "{line}"')
        yield owner, int(first), int(size)


# -- the default user ------------------------------------------------------------------------


def _make_default_user() -> None:
    """Have dockremap, with ranges that overlap nobody's. Raises: SettingsError."""
    try:
        pwd.getpwnam(DEFAULT_USER)
    except KeyError:
        _run("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false",
             DEFAULT_USER)  # fmt: skip
    for path, option in ((SUBUID, "--add-subuids"), (SUBGID, "--add-subgids")):
        if all(owner != DEFAULT_USER for owner, _first, _size in _ranges(path)):
            first = max([_FIRST_ID, *(start + size for _owner, start, size in _ranges(path))])
            _run("usermod", option, f"{first}-{first + _RANGE - 1}", DEFAULT_USER)


def _run(*command: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SettingsError(
            f"userns-remap default: {command[0]}: {os.strerror(error.errno or 0)}"
        ) from error
    if ran.returncode != 0:
        raise SettingsError(f"userns-remap default: {command[0]}: {ran.stderr.strip()}")
