"""Who the program runs as: Docker's USER text looked up in the image's own account files.

The rules are Docker's (moby/sys/user), with two differences that keep a crafted image from
making root of a number: what any parser would take for a number must be a plain decimal in
range, and a line of the files whose own numbers are not is no line at all.

The files are untrusted: only regular ones are read, at most one MiB, through the root's
descriptor, without waiting (a FIFO would hold us up for ever).
"""

import errno
import os
import stat
from collections.abc import Iterator

from wherry.kit.numbers import parse_unsigned
from wherry.kit.values import dataclass
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing

LARGEST_ID = (1 << 31) - 1
LARGEST_FILE_BYTES = 1 << 20
_LONGEST_NAME = 256
_IS_FILE = stat.S_ISREG


class AccountNotFound(Exception):
    """The user or group is not in the image's files, or is no possible number."""

    def __init__(self, reference: str, problem: str, *, is_group: bool) -> None:
        what = "group" if is_group else "user"
        super().__init__(f"unable to find {what} {reference}: {problem}")
        self.reference = reference
        self.is_group = is_group


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Numbers for the kernel, and the home directory ("/" when there is no account)."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary groups; the primary one is among them, as in Docker (CVE-2022-36109)."""
    home: str


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(root: int, user: str, group_add: tuple[str, ...] = ()) -> Identity:
    """Look up `user`, `user:group`, by name or number, and more groups; empty is user 0.

    Raises: AccountNotFound.
    """
    user_text, _, rest = user.partition(":")
    group_text = rest.partition(":")[0]
    users, problem = _users(root)
    account = _find_user(user_text, users, problem)
    groups: tuple[_Group, ...] = ()
    if group_text or account.name or group_add:
        groups = tuple(_groups(root))
    gid = account.gid
    supplementary: tuple[int, ...] = ()
    if group_text:
        gid = _find_group(group_text, groups)
    elif account.name:
        supplementary = tuple(each.gid for each in groups if account.name in each.members)
    added = tuple(_find_group(each, groups) for each in group_add)
    return Identity(
        uid=account.uid,
        gid=gid,
        groups=tuple(dict.fromkeys((gid, *supplementary, *added))),
        home=account.home,
    )


def home_of(root: int, uid: int) -> str:
    """The home directory of a number's account; "/" when it has none."""
    users, _ = _users(root)
    return next((each.home for each in users if each.uid == uid), "/")


def _find_user(text: str, users: tuple[_User, ...], problem: str) -> _User:
    number = 0 if not text else _number(text, is_group=False)
    for each in users:
        if each.name == text if number is None else each.uid == number:
            return each
    if number is None:
        raise AccountNotFound(text, problem, is_group=False)
    return _User("", number, 0, "/")


def _find_group(text: str, groups: tuple[_Group, ...]) -> int:
    number = _number(text, is_group=True)
    if number is not None:
        return number
    for each in groups:
        if each.name == text:
            return each.gid
    raise AccountNotFound(text, "no matching entries in group file", is_group=True)


def _number(text: str, *, is_group: bool) -> int | None:
    """The number that a text is, or None for a name.

    Raises: AccountNotFound for what some parser takes for a number and is not a plain one in
    range: looked up as a name it could lead anywhere (CVE-2026-46680).
    """
    if len(text) > _LONGEST_NAME:
        raise AccountNotFound(text[:_LONGEST_NAME], "the name is too long", is_group=is_group)
    if not _looks_like_number(text):
        return None
    try:
        number = parse_unsigned(text, bits=31)
    except ValueError:
        number = None
    if number is None or text != str(number):
        raise AccountNotFound(
            text, f"uids and gids must be in range 0-{LARGEST_ID}", is_group=is_group
        )
    return number


def _looks_like_number(text: str) -> bool:
    for base in (10, 0):
        try:
            int(text, base)
        except ValueError:
            continue
        return True
    return False


def _users(root: int) -> tuple[tuple[_User, ...], str]:
    """The accounts, and what to say when a name is not among them."""
    lines, problem = _lines(root, "/etc/passwd")
    users = []
    for line in lines:
        fields = line.split(":")
        if len(fields) < 4:
            continue
        uid, gid = _file_number(fields[2]), _file_number(fields[3])
        if fields[0] and uid is not None and gid is not None:
            home = fields[5] if len(fields) > 5 and fields[5] else "/"
            users.append(_User(fields[0], uid, gid, home))
    return tuple(users), problem or "no matching entries in passwd file"


def _groups(root: int) -> Iterator[_Group]:
    lines, _ = _lines(root, "/etc/group")
    for line in lines:
        fields = line.split(":")
        gid = _file_number(fields[2]) if len(fields) > 2 else None
        if fields[0] and gid is not None:
            members = fields[3].split(",") if len(fields) > 3 else ()
            yield _Group(fields[0], gid, tuple(members))


def _file_number(text: str) -> int | None:
    try:
        return parse_unsigned(text, bits=31)
    except ValueError:
        return None


def _lines(root: int, path: str) -> tuple[list[str], str]:
    """The lines of an account file, and why there are none if that is not its content."""
    try:
        opened = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        return [], "" if error.errno == errno.ENOENT else f"{path}: {error.strerror}"
    with closing(opened) as file:
        seen = os.fstat(file)
        if not _IS_FILE(seen.st_mode):
            return [], f"{path} is not a regular file"
        if seen.st_size > LARGEST_FILE_BYTES:
            return [], f"{path} is larger than {LARGEST_FILE_BYTES} bytes"
        content = os.read(file, LARGEST_FILE_BYTES + 1)
        while chunk := os.read(file, LARGEST_FILE_BYTES + 1 - len(content)):
            content += chunk
    if len(content) > LARGEST_FILE_BYTES:
        return [], f"{path} is larger than {LARGEST_FILE_BYTES} bytes"
    # Not splitlines(): that would also break at form feeds and other separators.
    return content.decode("utf-8", "surrogateescape").split("\n"), ""
