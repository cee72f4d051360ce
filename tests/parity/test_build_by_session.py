"""`wherry build` with a session: files travel when they are wanted, and only those."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import output_of as run
from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine

_CAPABLE = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service=ep, as the kernel keeps it."""


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path / "context")


def own(engine: Engine, context: Path, *flags: str) -> str:
    """What `wherry build` tells, which is to succeed."""
    ran = engine.wherry("build", "--progress=plain", *flags, str(context))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stderr


def sent(told: str) -> str:
    """How much of the context was sent, as it is told."""
    found = re.search(
        r"#(\d+) \[internal\] load build context\n#\1 transferring context: (.*)", told
    )
    assert found is not None, told
    return found[2]


def test_only_what_a_step_needs(engine: Engine, context: Path) -> None:
    """A file of six bytes beside one of a GiB; then nothing, and then what has changed.

    However many files are ignored.
    """
    ignored = "".join(f"a-rather-long-name-of-something/{each}\n" for each in range(5000))
    (context / ".dockerignore").write_text(ignored)
    with (context / "large").open("w") as large:
        os.truncate(large.fileno(), 1 << 30)
    (context / "small").write_text("small\n")
    write(context, "FROM scratch\nCOPY small a.txt /\n")
    assert sent(own(engine, context)) == "8B done"
    assert sent(own(engine, context)) == "done"
    (context / "small").write_text("other words\n")
    assert sent(own(engine, context)) == "12B done"


def test_files_are_what_they_were(engine: Engine, context: Path) -> None:
    """Links, hard links, permissions and capabilities; a socket is left where it is."""
    (context / "link").symlink_to("d/e")
    os.link(context / "a.txt", context / "twin")
    os.chmod(context / "b.txt", 0o4751)
    os.setxattr(context / "d/run.sh", "security.capability", _CAPABLE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(context / "socket"))
    write(context, "FROM busybox\nCOPY . /c\nCOPY link/f.txt /by-link\n")
    own(engine, context, "-t", "copied", "-o", f"type=local,dest={context.parent}/out")
    own(engine, context, "-t", "copied")
    shown = run(
        engine, "copied", "sh", "-c",
        "cd /c; readlink link; stat -c '%h %i' a.txt twin | sort -u | wc -l; "
        "stat -c '%a %u' b.txt; ls socket 2>&1; cat /by-link",
    ).split("\n")  # fmt: skip
    assert shown == ["d/e", "1", "4751 0", "ls: socket: No such file or directory", "f"]
    assert (context.parent / "out/by-link").read_text() == "f\n"
    below = [*engine.data_root.rglob("c/d/run.sh")]
    assert below
    assert {os.getxattr(each, "security.capability") for each in below} == {_CAPABLE}


def test_everything_by_request(engine: Engine, context: Path, tmp_path: Path) -> None:
    """With `--compress` all is sent ahead: a secret, another context, a layout."""
    other = small_context(tmp_path / "other")
    (tmp_path / "secret").write_text("hush")
    layout = tmp_path / "layout"
    write(other, "FROM scratch\nCOPY a.txt /of-layout\n")
    own(engine, other, "-o", f"type=oci,tar=false,dest={layout}")
    write(
        context,
        "FROM busybox\nCOPY --from=other a.txt /1\nCOPY --from=packed of-layout /2\n"
        "RUN --mount=type=secret,id=s,required wc -c < /run/secrets/s > /3\nCOPY b.txt /4\n",
    )
    flags = (
        "--build-context", f"other={other}", "--build-context", f"packed=oci-layout://{layout}",
        "--secret", f"id=s,src={tmp_path}/secret", "-t", "made",
    )  # fmt: skip
    for way in (("--compress",), ()):
        told = own(engine, context, *way, "--no-cache", *flags)
        assert ("load .dockerignore" in told) == (not way)
        assert run(engine, "made", "cat", "/1", "/2", "/3", "/4").split() == ["a", "a", "4", "b"]


def test_services_of_a_project(engine: Engine, context: Path) -> None:
    """`wherry compose build` shows the builds of several services as one, by their names."""
    write(context, "FROM busybox\nCOPY a.txt /\n")
    (context / "compose.yaml").write_text(
        "services:\n  web: {build: .}\n"
        '  other:\n    build: {context: ., dockerfile_inline: "FROM scratch\\nCOPY b.txt /"}\n'
        "  bad:\n    profiles: [bad]\n"
        '    build: {context: ., dockerfile_inline: "FROM busybox\\nRUN exit 3"}\n'
    )
    project = ("compose", "--project-directory", str(context), "-p", "shown")
    ran = engine.wherry(*project, "build")
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr
    for line in (
        r"#\d+ \[web internal\] load build definition from Dockerfile\n",
        r"#\d+ \[web 2/2\] COPY a\.txt /\n",
        r"#\d+ \[other 1/1\] COPY b\.txt /\n",
        r"#\d+ \[other\] exporting to image\n",
        r"#\d+ transferring context: 2B done\n",
    ):
        assert re.search(line, ran.stderr), (line, ran.stderr)
    failed = engine.wherry(*project, "build", "bad")
    assert failed.returncode == 1
    words = 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
    assert f"failed to solve: {words}" in failed.stderr, failed.stderr
    assert "\n > [bad 2/2] RUN exit 3:\n" in failed.stderr, failed.stderr
    assert engine.wherry(*project, "build", "-q").stderr == ""
