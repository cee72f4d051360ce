"""Who a program runs as, and which program: Docker's rules, on real processes."""

import pytest

from support.containers import Box
from wherry.oci.runtime_spec import User

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("user", "group_add", "uid", "groups"),
    [
        ("", (), "0", "0 10"),
        ("bob", (), "1000", "1000 10"),
        ("1000", (), "1000", "1000 10"),
        ("bob:wheel", (), "1000", "10"),
        ("bob:0", (), "1000", "0"),
        ("4242", (), "4242", "0"),
        ("4242:4343", (), "4242", "4343"),
        ("bob", ("4444",), "1000", "1000 10 4444"),
        ("root", ("bob",), "0", "0 10 1000"),
        ("2147483647", (), "2147483647", "0"),
    ],
)
def test_user_and_groups(
    box: Box, user: str, group_add: tuple[str, ...], uid: str, groups: str
) -> None:
    """Names and numbers, alone and with a group, with supplementary groups (R14)."""
    outcome = box.runs("sh", "-c", "id -u; id -G", user=user, group_add=group_add)
    shown_uid, shown_groups = outcome.output.splitlines()
    assert shown_uid == uid
    assert set(shown_groups.split()) == set(groups.split())
    assert shown_groups.split()[0] == groups.split()[0]


@pytest.mark.parametrize(
    "user",
    ["2147483648", "4294967295", "4294967296", "-1", "0x0", "1_000", "\u0660", "00", "+1", " 7 "],
)
def test_numbers_that_are_none(box: Box, user: str) -> None:
    """What only some parsers take for a number is refused, whatever the image says (R15)."""
    passwd = box.layer / "etc/passwd"
    passwd.write_text(f"{user}:x:0:0::/:/bin/sh\n" + passwd.read_text())
    outcome = box.runs("id", "-u", user=user)
    assert outcome.failure is not None
    assert outcome.failure[0] == "user_not_found"
    assert outcome.failure[2] == user


@pytest.mark.parametrize(
    ("user", "kind", "message"),
    [
        (
            "nobody-here",
            "user_not_found",
            "unable to find user nobody-here: no matching entries in passwd file",
        ),
        (
            "bob:nobody-here",
            "group_not_found",
            "unable to find group nobody-here: no matching entries in group file",
        ),
    ],
)
def test_unknown_names(box: Box, user: str, kind: str, message: str) -> None:
    """Docker's sentences for users and groups that are not there."""
    assert box.runs("true", user=user).failure == (kind, message, "nobody-here")


def test_numbers_of_the_specification(box: Box) -> None:
    """Without a text the specification's numbers hold, and HOME is looked up for them."""
    outcome = box.runs(
        "sh",
        "-c",
        "id -u; id -g; id -G; echo $HOME; umask",
        user=None,
        process={"user": User(uid=1000, gid=7, additional_gids=(8, 9), umask=0o77)},
    )
    assert outcome.output.splitlines() == ["1000", "7", "7 8 9", "/home/bob", "0077"]


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (
            ("nothing-here",),
            "command_not_found_in_path",
            'exec: "nothing-here": executable file not found in $PATH',
        ),
        (
            ("/nothing/here",),
            "command_not_found",
            'exec: "/nothing/here": stat /nothing/here: no such file or directory',
        ),
        (("/etc/passwd",), "not_executable", 'exec: "/etc/passwd": permission denied'),
        (("/etc",), "not_executable", 'exec: "/etc": is a directory'),
        (
            ("",),
            "command_not_found_in_path",
            'exec: "": executable file not found in $PATH',
        ),
    ],
)
def test_programs_that_are_none(box: Box, args: tuple[str, ...], kind: str, message: str) -> None:
    """Not there, not executable: told apart, before anything is released."""
    outcome = box.runs(*args)
    assert outcome.failure == (kind, message, args[0])
    assert outcome.left == []


def test_a_script_without_its_interpreter(box: Box) -> None:
    """The kernel finds this out at the execve: the container has started, and says so itself."""
    script = box.layer / "bin/script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    outcome = box.runs("/bin/script")
    assert (outcome.failure, outcome.status) == (None, 255)
    assert outcome.output == "exec /bin/script: no such file or directory\n"
    assert outcome.left == []
    assert outcome.journal[-1]["kind"] == "execve"
    assert outcome.journal[-1]["outcome"] == "failed"


def test_a_file_that_is_no_program(box: Box) -> None:
    """ENOEXEC is told as such: execve runs no shell in its place."""
    (box.layer / "bin/text").write_text("echo hello\n")
    (box.layer / "bin/text").chmod(0o755)
    outcome = box.runs("text")
    assert (outcome.failure, outcome.status) == (None, 255)
    assert outcome.output == "exec /bin/text: exec format error\n"


def test_no_new_privileges(box: Box) -> None:
    """The flag is set, and a set-user-id program stays what it was called as."""
    (box.layer / "bin/grep").unlink()
    (box.layer / "bin/grep").write_bytes((box.layer / "bin/busybox").read_bytes())
    (box.layer / "bin/grep").chmod(0o4755)
    shown = box.runs(
        "grep", "-E", "NoNewPrivs|Uid", "/proc/self/status",
        user="bob", process={"no_new_privileges": True},
    ).output.split()  # fmt: skip
    assert shown == ["Uid:", "1000", "1000", "1000", "1000", "NoNewPrivs:", "1"]


def test_secrets_are_not_in_the_journal(box: Box) -> None:
    """Values of variables that sound like secrets are masked; the program gets them."""
    env = ("PATH=/bin", "DB_PASSWORD=hunter2", "PLAIN=shown")
    outcome = box.runs("env", process={"env": env})
    assert "DB_PASSWORD=hunter2" in outcome.output
    told = outcome.journal[-1]["arguments"]["environment"]
    assert told[:3] == ["PATH=/bin", "DB_PASSWORD=***", "PLAIN=shown"]
