"""`docker build` by the classic door: the stock CLI without BuildKit."""

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.builds import (
    classic_build as build,
)
from support.builds import (
    output_of as run,
)
from support.builds import (
    remove_what_was_built,
    small_context,
)
from support.builds import (
    write_dockerfile as write,
)
from support.daemon import Engine
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path)


def config(engine: Engine, name: str) -> Any:
    """What an image says."""
    return json.loads(engine.docker_ok("image", "inspect", name))[0]["Config"]


def test_the_classic_stream_and_the_cache(engine: Engine, context: Path) -> None:
    """Steps, ids, the use of the cache, the same id again; a miss only where a file differs."""
    write(context, "FROM busybox\nRUN echo hello > /h\nCOPY a.txt /\nCMD cat /h")
    first = build(engine, context, "-t", "one").stdout
    assert "Step 1/4 : FROM busybox\n ---> " in first
    assert "Step 2/4 : RUN echo hello > /h\n ---> Running in " in first
    assert " ---> Removed intermediate container " in first
    assert "Successfully built " in first
    assert first.endswith("Successfully tagged one:latest\n")
    assert run(engine, "one") == "hello"
    image_id = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "one")
    again = build(engine, context, "-t", "one").stdout
    assert again.count(" ---> Using cache\n") == 3
    assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "one") == image_id
    os.utime(context / "a.txt", (1, 1))
    assert build(engine, context).stdout.count(" ---> Using cache\n") == 3
    (context / "a.txt").write_text("changed\n")
    assert build(engine, context).stdout.count(" ---> Using cache\n") == 1
    assert "Using cache" not in build(engine, context, "--no-cache").stdout
    quiet = build(engine, context, "-q").stdout
    assert quiet.startswith("sha256:")
    assert engine.docker_ok("ps", "-aq") == ""


def test_a_base_without_a_search_path(engine: Engine, context: Path) -> None:
    """An image of imported files names no PATH; what is built on it has one to add to."""
    engine.docker_ok("create", "--name", "files", "busybox")
    engine.docker_ok("export", "-o", str(context / "files.tar"), "files")
    engine.docker_ok("rm", "files")
    engine.docker_ok("import", str(context / "files.tar"), "bare")
    write(context, "FROM bare\nENV PATH=/own:$PATH\nRUN ls > /listed")
    build(engine, context, "-t", "made")
    assert config(engine, "made")["Env"] == [
        "PATH=/own:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ]


def test_a_step_that_fails(engine: Engine, context: Path) -> None:
    """Docker's text and the command's exit code; nothing is left behind."""
    before = engine.docker_ok("images", "-aq")
    write(context, "FROM busybox\nRUN echo seen; exit 7\nRUN echo never")
    ran = build(engine, context, "-t", "bad", check=False)
    assert ran.returncode == 7
    assert "seen" in ran.stdout
    assert "never" not in ran.stdout
    text = "The command '/bin/sh -c echo seen; exit 7' returned a non-zero code: 7"
    assert text in ran.stderr
    assert engine.docker_ok("ps", "-aq") == ""
    assert engine.docker_ok("images", "-aq") == before


def test_what_is_wrong_is_told_before_anything_runs(engine: Engine, context: Path) -> None:
    """The line, or the file that is not there."""
    write(context, "FROM busybox\nFOO x")
    ran = build(engine, context, check=False)
    assert "dockerfile parse error on line 2: unknown instruction: FOO" in ran.stderr
    write(context, "FROM busybox\nCOPY nope /")
    ran = build(engine, context, check=False)
    assert "COPY failed: file not found in build context or excluded by" in ran.stderr
    write(context, "FROM busybox\nCOPY a.txt b.txt /x")
    ran = build(engine, context, check=False)
    assert "the destination must be a directory and end with a /" in ran.stderr
    ran = build(engine, context, "--target", "nope", check=False)
    assert 'target stage "nope" could not be found' in ran.stderr
    write(context, "FROM busybox\nRUN --mount=type=secret,id=x,required true")
    assert "secret x: not found" in build(engine, context, check=False).stderr
    write(context, "FROM busybox\nRUN --security=insecure true")
    assert "security.insecure is not allowed" in build(engine, context, check=False).stderr


def test_configuration(engine: Engine, context: Path) -> None:
    """Every instruction that changes what an image says, and variables in them."""
    write(
        context,
        "ARG BASE=busybox\nFROM $BASE\nARG V=1\nENV A=x B=${A:-none}$V\nLABEL l=$A m='a b'\n"
        "EXPOSE 80 53/udp\nVOLUME /data\nUSER nobody\nWORKDIR /w\nWORKDIR deep\n"
        'ENTRYPOINT ["/bin/echo"]\nCMD ["x", "y"]\nSTOPSIGNAL SIGINT\nSHELL ["/bin/sh", "-ec"]\n'
        "HEALTHCHECK --interval=5s CMD true\nONBUILD RUN touch /triggered\nMAINTAINER me",
    )
    build(engine, context, "-t", "conf", "--build-arg", "V=2", "--label", "from=cli $A")
    found = config(engine, "conf")
    assert "A=x" in found["Env"]
    assert "B=none2" in found["Env"]
    assert found["Labels"] == {"l": "x", "m": "a b", "from": "cli $A"}
    assert set(found["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert set(found["Volumes"]) == {"/data"}
    assert (found["User"], found["WorkingDir"]) == ("nobody", "/w/deep")
    assert (found["Entrypoint"], found["Cmd"]) == (["/bin/echo"], ["x", "y"])
    assert found["StopSignal"] == "SIGINT"
    assert found["Healthcheck"]["Interval"] == 5_000_000_000
    assert found["OnBuild"] == ["RUN touch /triggered"]
    assert run(engine, "conf") == "x y"
    write(context, 'FROM busybox\nCMD ["x"]\nENTRYPOINT ["echo"]')
    build(engine, context, "-t", "entered")
    assert config(engine, "entered")["Cmd"] == ["x"]
    write(context, 'FROM entered\nENTRYPOINT ["echo"]')
    build(engine, context, "-t", "again")
    assert config(engine, "again").get("Cmd") is None
    write(context, "FROM busybox\nARG USED\nRUN echo $USED > /u\nCMD cat /u")
    told = build(engine, context, "-t", "args", "--build-arg", "USED=yes",
                 "--build-arg", "UNUSED=1").stdout  # fmt: skip
    assert "[Warning] One or more build-args [UNUSED] were not consumed" in told
    assert run(engine, "args") == "yes"


def test_files(engine: Engine, context: Path) -> None:
    """Directories, wildcards, owners, permissions, here-documents, archives, links."""
    subprocess.run(["tar", "-czf", context / "t.tgz", "-C", context / "d", "e"], check=True)
    (context / ".dockerignore").write_text("b.txt\n")
    write(
        context,
        "FROM busybox\nRUN mkdir /real && ln -s /real /link && ln -s /../../../real /up\n"
        "COPY d /d\nCOPY *.txt /w/\nCOPY --chown=nobody:nobody --chmod=600 a.txt /own/a\n"
        "COPY a.txt /link/\nCOPY a.txt /up/up.txt\nADD t.tgz /un/\nCOPY t.tgz /packed/\n"
        "COPY --parents d/e/f.txt /p/\nCOPY --exclude=*.sh d /ex/\n"
        'COPY <<one <<"two" /here/\n$HOME x\none\n$HOME y\ntwo\n'
        "RUN <<EOF\necho first > /run1\necho second >> /run1\nEOF\n",
    )
    build(engine, context, "-t", "files")
    script = (
        "cat /d/e/f.txt /run1; ls /w /real /un/e /packed /p/d/e /ex /here;"
        " stat -c '%U %a' /own/a /d/run.sh; cat /here/two"
    )
    assert run(engine, "files", "sh", "-c", script).split() == [
        "f", "first", "second",
        "/ex:", "e", "/here:", "one", "two", "/p/d/e:", "f.txt", "/packed:", "t.tgz",
        "/real:", "a.txt", "up.txt", "/un/e:", "f.txt", "/w:", "a.txt",
        "nobody", "600", "root", "755", "$HOME", "y",
    ]  # fmt: skip


def test_stages(engine: Engine, context: Path) -> None:
    """Only what the target needs is run; files come from stages, by name and by number."""
    write(
        context,
        "FROM busybox AS one\nRUN echo 1 > /f\nFROM busybox AS two\nRUN exit 3\n"
        "FROM one AS three\nRUN echo 3 >> /f\nFROM scratch\nCOPY --from=busybox /bin /bin\n"
        "COPY --from=three /f /f\nCOPY --from=0 /f /g\n",
    )
    told = build(engine, context, "-t", "staged").stdout
    assert "exit 3" not in told
    assert run(engine, "staged", "cat", "/f", "/g").split() == ["1", "3", "1"]
    build(engine, context, "-t", "first", "--target", "one")
    assert run(engine, "first", "cat", "/f") == "1"
    assert build(engine, context, "--target", "two", check=False).returncode == 3


def test_a_context_cannot_lead_outside(engine: Engine, context: Path) -> None:
    """A link in the context, and one in the image, end where their own roots end."""
    os.symlink("/etc/hostname", context / "out")
    write(context, "FROM busybox\nCOPY out /x")
    ran = build(engine, context, check=False)
    assert ran.returncode != 0
    assert "COPY failed" in ran.stderr
    write(context, "FROM busybox\nCOPY ../../etc/passwd /x")
    assert build(engine, context, check=False).returncode != 0


def test_the_cache_is_seen_and_pruned(engine: Engine, context: Path) -> None:
    """It outlives the image; `builder prune` takes it away."""
    write(context, "FROM busybox\nRUN echo only-here > /o")
    build(engine, context, "-t", "kept")
    engine.docker_ok("rmi", "kept")
    assert "Using cache" in build(engine, context, "-t", "kept").stdout
    assert "Build Cache" in engine.docker_ok("system", "df")
    engine.docker_ok("rmi", "kept")
    engine.docker_ok("builder", "prune", "-af")
    assert "Using cache" not in build(engine, context).stdout


def _piped(engine: Engine, dockerfile: str, *words: str) -> str:
    """The classic `docker build` of a Dockerfile on standard input; what its image prints."""
    ran = subprocess.run(
        ["docker", "build", "-t", "piped", *words],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        input=dockerfile,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return run(engine, "piped")


def test_a_dockerfile_on_standard_input(engine: Engine, context: Path) -> None:
    """`docker build -` takes a Dockerfile without a context, `-f -` one beside a directory."""
    alone = 'FROM busybox\nRUN <<EOF\necho piped > /f\nEOF\nCMD ["cat", "/f"]\n'
    assert _piped(engine, alone, "-") == "piped"
    (context / "a.txt").write_text("beside")
    beside = "FROM busybox\nCOPY a.txt /\nCMD cat /a.txt\n"
    assert _piped(engine, beside, "-f", "-", str(context)) == "beside"


def test_steps_are_told_in_the_order_of_the_file(engine: Engine, context: Path) -> None:
    """Whatever ran first; and a build of nothing new has the same id, arguments or not."""
    write(
        context,
        "FROM busybox AS first\nARG WORD\nRUN echo $WORD > /w\nFROM scratch\nLABEL a=b\n"
        "COPY --from=first /w /w",
    )
    wanted = ("-q", "--build-arg", "WORD=x", "--label", "c=d")
    told = build(engine, context).stdout
    assert [line for line in told.splitlines() if line.startswith("Step ")] == [
        "Step 1/6 : FROM busybox AS first",
        "Step 2/6 : ARG WORD",
        "Step 3/6 : RUN echo $WORD > /w",
        "Step 4/6 : FROM scratch",
        "Step 5/6 : LABEL a=b",
        "Step 6/6 : COPY --from=first /w /w",
    ]
    assert build(engine, context, *wanted).stdout == build(engine, context, *wanted).stdout
    first = ("-q", "--target", "first", *wanted[1:])
    assert build(engine, context, *first).stdout == build(engine, context, *first).stdout


def test_triggers_of_a_base(engine: Engine, context: Path) -> None:
    """ONBUILD runs in the image that is built on it, and is gone there."""
    write(context, "FROM busybox\nONBUILD COPY a.txt /from-child\nONBUILD RUN echo t > /t")
    build(engine, context, "-t", "parent")
    write(context, "FROM parent\nCMD cat /from-child /t")
    build(engine, context, "-t", "child")
    assert run(engine, "child").split() == ["a", "t"]
    assert not config(engine, "child").get("OnBuild")


def test_history_names_every_step(engine: Engine, context: Path) -> None:
    """As the classic builder writes it; steps that change no file have no layer."""
    write(context, "FROM busybox\nARG V=1\nRUN echo $V > /v\nENV A=b\nCOPY a.txt /")
    build(engine, context, "-t", "told")
    lines = engine.docker_ok(
        "history", "--no-trunc", "--format", "{{.CreatedBy}}", "told"
    ).splitlines()
    assert lines[:4] == [
        f"/bin/sh -c #(nop) COPY file:{lines[0].partition('file:')[2][:64]} in / ",
        "/bin/sh -c #(nop)  ENV A=b",
        "|1 V=1 /bin/sh -c echo $V > /v",
        "/bin/sh -c #(nop)  ARG V=1",
    ]
    layers = json.loads(engine.docker_ok("image", "inspect", "told"))[0]["RootFS"]["Layers"]
    base = json.loads(engine.docker_ok("image", "inspect", "busybox"))[0]["RootFS"]["Layers"]
    assert len(layers) == len(base) + 2


def test_a_step_has_the_profile_of_any_container(engine: Engine, context: Path) -> None:
    """The same capabilities and seccomp filter, no network where none is wanted, and limits."""
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status"
    write(context, f"FROM busybox\nRUN {script} > /s\nRUN --network=none ls /sys/class/net > /n")
    build(engine, context, "-t", "profile", "--memory", "64m")
    own = engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script)
    assert run(engine, "profile", "cat", "/s") == own
    assert run(engine, "profile", "cat", "/n") == "lo"


def begun_build(engine: Engine, context: Path) -> "subprocess.Popen[str]":
    """A build whose command has said that it begun."""
    client = subprocess.Popen(
        ["docker", "build", str(context)],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with client.stdout or io.StringIO() as said:
        assert "begun\n" in iter(said.readline, "")
    return client


def test_a_build_that_is_given_up_leaves_nothing(engine: Engine, context: Path) -> None:
    """The client goes: the step's container goes too."""
    write(context, "FROM busybox\nRUN echo begun; sleep 1000")
    client = begun_build(engine, context)
    client.kill()
    client.wait()
    wait_until("the container of the step is gone", lambda: engine.docker_ok("ps", "-aq") == "")


def test_bytes_stay_the_same_over_a_restart(fresh_engine: Engine, context: Path) -> None:
    """The cache is on the disk."""
    write(context, "FROM busybox\nRUN echo kept > /k\nCOPY a.txt /")
    build(fresh_engine, context, "-t", "kept")
    before = fresh_engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "kept")
    fresh_engine.restart()
    assert build(fresh_engine, context, "-t", "kept").stdout.count("Using cache") == 2
    assert fresh_engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "kept") == before


def test_archives_that_lead_outside_stay_inside(engine: Engine, context: Path) -> None:
    """ADD of a tar with `..`, an absolute name, and a link to the host that it writes through."""
    outside = context / "outside"
    outside.mkdir()
    with tarfile.open(context / "evil.tar", "w") as archive:
        link = tarfile.TarInfo("escape")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        for name in ("escape/through", "../../../../../../../climbed", "/rooted"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    (context / ".dockerignore").write_text("outside\n")
    write(context, "FROM busybox\nADD evil.tar /un/")
    build(engine, context, "-t", "evil", check=False)
    assert list(outside.iterdir()) == []
    assert not Path("/climbed").exists()
    assert not Path("/rooted").exists()


def test_parameters_that_are_wrong(engine: Engine) -> None:
    """Refused before anything is read."""
    for query in (
        "outputs=%5B%7B%7D%5D",
        "buildargs=%5B",
        "memory=x",
        "version=9",
        "t=UPPER",
        "ulimits=1",
    ):
        assert engine.api("POST", f"/build?{query}").status == 400, query


def test_our_own_command_line(engine: Engine, context: Path, tmp_path: Path) -> None:
    """`wherry build`: what it sends, what it leaves out, and the code of a step that fails."""
    write(context, "FROM busybox\nARG who=nobody\nCOPY . /c\nRUN echo $who > /w; ls /c")
    (context / ".dockerignore").write_text("d\n!d/run.sh\nb.txt\n")
    id_file = tmp_path / "id"
    built = engine.wherry(
        "build", "-t", "own:1", "--build-arg", "who=me", "--label", "a=b",
        "--iidfile", str(id_file), str(context),
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert built.stdout == ""
    assert built.stderr.startswith("#1 [internal] load build definition from Dockerfile\n#1 ")
    assert re.search("\n#7 \\[3/3\\] RUN echo .*\n#7 [0-9.]+ Dockerfile\n", built.stderr), (
        built.stderr
    )
    assert id_file.read_text() == engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "own:1")
    files = run(engine, "own:1", "sh", "-c", "cat /w; cd /c; find . -type f | sort").split()
    assert files == ["me", "./.dockerignore", "./Dockerfile", "./a.txt", "./d/run.sh"]
    assert config(engine, "own:1")["Labels"] == {"a": "b"}
    alone = engine.wherry("build", "-q", "-", stdin="FROM busybox\nRUN exit 9\n")
    assert (alone.returncode, alone.stdout) == (1, "")
    outside = tmp_path / "elsewhere.Dockerfile"
    outside.write_text("FROM busybox\nCOPY a.txt /\n")
    quiet = engine.wherry("build", "-q", "-f", str(outside), str(context))
    assert (quiet.returncode, quiet.stdout[:7]) == (0, "sha256:")
    absent = engine.wherry("build", str(context / "none"))
    assert absent.returncode == 1
    assert f'unable to prepare context: path "{context}/none" not found' in absent.stderr


def test_a_command_does_not_outlive_its_engine(fresh_engine: Engine, context: Path) -> None:
    """Killed in the middle of RUN, an engine finds nothing of the build when it comes back."""
    engine = fresh_engine
    write(context, "FROM busybox\nRUN --mount=type=cache,target=/c echo begun; exec sleep 987654")
    before = engine.settled_census()
    client = begun_build(engine, context)
    (engine.data_root / "build-mounts" / "7").mkdir()  # as one that was never filled
    engine.kill9()
    client.wait()
    engine.start()
    assert engine.docker_ok("ps", "-aq") == ""
    engine.docker_ok("builder", "prune", "-af")
    assert not engine.leaks_since(before)
    assert not list((engine.data_root / "build-mounts").iterdir())
