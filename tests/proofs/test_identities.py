"""RELIABILITY row 23 (R10-R16): who a process is, and with which groups and capabilities.

The account files of the image are crafted: beside people and groups they have a line of user 0
for each text that some parser takes for a number. What Docker would make of a user is said by a
small model here, which knows nothing of the engine's own; it is compared for the first process
and for one that joins.
"""

import io
import itertools
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size

IMAGE = "accounts:1"
PEOPLE = {"root": (0, 0), "ann": (1000, 1000), "bob": (1001, 50), "nobody": (65534, 65534)}
GROUPS = {
    "root": (0, ()),
    "staff": (50, ("ann",)),
    "wheel": (10, ("ann", "root")),
    "ann": (1000, ()),
    "audio": (29, ("bob",)),
}
IMPOSTORS = (
    "2147483648", "4294967295", "4294967296", "-1", "0x0", "1_000", "\u0660", "00", "+0", "0b0",
    " 0", "0 ", "\uff10",
)  # fmt: skip
"""Texts that must never become user 0, whatever the image's files say of them."""
DEFAULT_CAPABILITIES = 0xA80425FB
NUMBERS = {"CHOWN": 0, "KILL": 5, "NET_ADMIN": 12, "SYS_ADMIN": 21, "SYS_PTRACE": 19}
"""Capabilities and their bits (linux/capability.h)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a process must be; the primary group is in the list of groups too."""

    uid: int
    groups: frozenset[int]
    group: int


def expected(user: str, added: tuple[str, ...]) -> Expected:
    """Docker's rules: a group that is named replaces those of the files."""
    name, _, group = user.partition(":")
    name = name or "0"
    by_number = {str(uid): each for each, (uid, _gid) in PEOPLE.items()}
    known = name if name in PEOPLE else by_number.get(name, "")
    uid, gid = PEOPLE[known] if known else (int(name), 0)
    more = {number for number, members in GROUPS.values() if known and known in members}
    if group:
        gid = GROUPS[group][0] if group in GROUPS else int(group)
        more = set()
    more |= {GROUPS[each][0] if each in GROUPS else int(each) for each in added}
    return Expected(uid, frozenset({gid, *more}), gid)


USERS = [
    ":".join(each).removesuffix(":")
    for each in itertools.product(
        ("", "root", "ann", "bob", "nobody", "0", "1000", "1001", "4242", "2147483647"),
        ("", "staff", "wheel", "0", "4343"),
    )
]
ADDED: tuple[tuple[str, ...], ...] = ((), ("audio",), ("77", "staff"))
CASES = [(user, added) for user in USERS for added in ADDED]


@pytest.fixture(scope="module")
def accounts(shared_engine: Engine) -> Iterator[Engine]:
    """The engine, with the crafted image."""
    make_image(shared_engine)
    yield shared_engine
    shared_engine.docker("rmi", "-f", IMAGE)


def make_image(engine: Engine) -> None:
    """busybox with the crafted account files, and a file that its group may not read."""
    passwd = "".join(f"{name}:x:{uid}:{gid}::/:/bin/sh\n" for name, (uid, gid) in PEOPLE.items())
    passwd += "".join(f"{each}:x:0:0::/:/bin/sh\n" for each in IMPOSTORS)
    group = "".join(f"{name}:x:{gid}:{','.join(who)}\n" for name, (gid, who) in GROUPS.items())
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, text, mode, gid in (
            ("etc/passwd", passwd, 0o644, 0),
            ("etc/group", group, 0o644, 0),
            ("secret", "seen\n", 0o604, 50),
        ):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.gid = len(text.encode()), mode, gid
            archive.addfile(entry, io.BytesIO(text.encode()))
    container = engine.create("true")
    put = engine.api("PUT", f"/containers/{container}/archive?path=/", made.getvalue(),
                     headers={"Content-Type": "application/x-tar"})  # fmt: skip
    assert put.status == 200, put.body
    engine.docker_ok("commit", "--change", "USER 0", container, IMAGE)
    engine.api("DELETE", f"/containers/{container}")


def told(text: str) -> Expected:
    """What the kernel says of a process: its user, its group, and the list of groups."""
    fields = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    groups = frozenset(int(each) for each in fields["Groups:"])
    return Expected(int(fields["Uid:"][0]), groups, int(fields["Gid:"][0]))


def differing(engine: Engine, cases: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Cases that come out otherwise than Docker's, in run and in exec."""
    wrong = []
    script = "grep -E '^(Uid|Gid|Groups):' /proc/self/status"
    for user, added in cases:
        flags = [f"--group-add={each}" for each in added]
        name = "who"
        engine.docker_ok("run", "-d", "--name", name, *(["-u", user] if user else []), *flags,
                         IMAGE, "sh", "-c", f"{script}; exec sleep 1000")  # fmt: skip
        try:
            joined = engine.docker_ok("exec", *(["-u", user] if user else []), name, "sh", "-c",
                                      script)  # fmt: skip
            first = engine.docker_ok("logs", name)
        finally:
            engine.docker("rm", "-f", name)
        for how, seen in (("run", told(first)), ("exec", told(joined))):
            if seen != expected(user, added):
                wrong.append(f"{how} -u {user!r} {added}: {seen}")
    return wrong


def test_users_and_groups(accounts: Engine, size: Size, figure: list[str]) -> None:
    """Names and numbers, alone and with a group, known and unknown, with more groups."""
    step = size.of(1, 12)
    cases = CASES[::step]
    wrong = differing(accounts, cases)
    figure.append(f"{2 * len(cases)} identities as Docker's, {len(wrong)} otherwise")
    assert not wrong, "\n".join(wrong)


def becoming_root(engine: Engine, impostors: tuple[str, ...]) -> list[str]:
    """Texts by which somebody became user 0 in run or in exec."""
    engine.docker_ok("run", "-d", "--name", "host", IMAGE, "sleep", "1000")
    became = []
    for text, group in itertools.product(impostors, ("", ":0")):
        user = text + group
        made = engine.api("POST", "/containers/create",
                          {"Image": IMAGE, "Cmd": ["id", "-u"], "User": user})  # fmt: skip
        if made.status == 201:
            identity = made.json["Id"]
            if engine.api("POST", f"/containers/{identity}/start").status == 204:
                became.append(f"run -u {user!r}")
            engine.api("DELETE", f"/containers/{identity}?force=1")
        if engine.docker("exec", "-u", user, "host", "id", "-u").returncode == 0:
            became.append(f"exec -u {user!r}")
    engine.docker_ok("rm", "-f", "host")
    return became


def test_numbers_that_are_none(accounts: Engine, figure: list[str]) -> None:
    """R15, CVE-2026-46680: overflowing, signed, with blanks, of other scripts and bases."""
    became = becoming_root(accounts, IMPOSTORS)
    figure.append(f"{4 * len(IMPOSTORS)} texts that are no number, {len(became)} became user 0")
    assert not became, "\n".join(became)


def test_a_group_that_may_not_read(accounts: Engine, figure: list[str]) -> None:
    """R14, CVE-2022-36109: a file that everybody may read but its group stays closed to it."""
    closed = 0
    for user in ("ann", "1000", "bob:staff", "4242:50"):
        ran = accounts.docker("run", "--rm", "-u", user, IMAGE, "cat", "/secret")
        assert (ran.returncode, ran.stdout) == (1, ""), user
        closed += 1
    accounts.docker_ok("run", "-d", "--name", "open", IMAGE, "sleep", "1000")
    for user in ("ann", "bob:staff"):
        assert accounts.docker("exec", "-u", user, "open", "cat", "/secret").returncode == 1
        closed += 1
    assert accounts.docker_ok("exec", "-u", "bob:wheel", "open", "cat", "/secret") == "seen"
    accounts.docker_ok("rm", "-f", "open")
    figure.append(f"{closed} of {closed} members of the group were refused")


def sets(text: str) -> dict[str, int]:
    """The capability sets of a status file."""
    lines = (line.split() for line in text.splitlines() if line.startswith("Cap"))
    return {words[0].removeprefix("Cap").removesuffix(":"): int(words[1], 16) for words in lines}


def test_capability_sets(accounts: Engine, size: Size, figure: list[str]) -> None:
    """R10, R11: nothing inheritable or ambient; nothing at all for those who are not root."""
    choices: list[tuple[list[str], int]] = [([], DEFAULT_CAPABILITIES)]
    for name, number in NUMBERS.items():
        bit = 1 << number
        choices.append(([f"--cap-add={name}"], DEFAULT_CAPABILITIES | bit))
        choices.append(([f"--cap-drop={name}"], DEFAULT_CAPABILITIES & ~bit))
        choices.append((["--cap-drop=ALL", f"--cap-add=CAP_{name}"], bit))
    choices.append((["--cap-drop=ALL"], 0))
    compared = 0
    for flags, bounding in choices[:: size.of(1, 4)]:
        for user in ("0", "1000"):
            accounts.docker_ok("run", "-d", "--name", "caps", "-u", user, *flags, IMAGE,
                               "sleep", "1000")  # fmt: skip
            own = bounding if user == "0" else 0
            read = ("cat", "/proc/1/status"), ("cat", "/proc/self/status")
            for seen in (sets(accounts.docker_ok("exec", "caps", *each)) for each in read):
                expected_sets = {"Inh": 0, "Prm": own, "Eff": own, "Bnd": bounding, "Amb": 0}
                assert seen == expected_sets, (flags, user)
                compared += 5
            accounts.docker_ok("rm", "-f", "caps")
    figure.append(f"{compared} capability sets as they must be, 0 otherwise")


MUTANTS = (
    Mutant(
        "the primary group is left out",
        "runtime/accounts.py",
        "groups=tuple(dict.fromkeys((gid, *supplementary, *added)))",
        "groups=tuple(dict.fromkeys((*supplementary, *added)))",
    ),
    Mutant(
        "the group file is not read",
        "runtime/accounts.py",
        "supplementary = tuple(each.gid for each in groups if account.name in each.members)",
        "supplementary = ()",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name.replace(" ", "-"))
def test_groups_mutant(mutant: Mutant, figure: list[str]) -> None:
    """Each guard is needed."""
    with mutated_engine(mutant) as engine:
        make_image(engine)
        wrong = differing(engine, [("ann", ()), ("bob:staff", ("77",)), ("1001", ())])
    figure.append(f"killed: {mutant.name} ({len(wrong)} otherwise)")
    assert wrong


def test_numbers_mutant(figure: list[str]) -> None:
    """What is no plain number is looked up as a name: the image makes root of it."""
    mutant = Mutant(
        "numbers out of range are names",
        "runtime/accounts.py",
        "    if not _looks_like_number(text):\n        return None\n",
        "    if not (text.isascii() and text.isdigit() and int(text) < 1 << 31):\n"
        "        return None\n",
    )
    with mutated_engine(mutant) as engine:
        make_image(engine)
        became = becoming_root(engine, IMPOSTORS[:4])
    figure.append(f"killed: {mutant.name} ({len(became)} became user 0)")
    assert became
