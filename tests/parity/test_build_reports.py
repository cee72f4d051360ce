"""`wherry build --why`, `--plan`, `--profile` and `--progress`: a build that says what it does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import (
    classic_build,
    remove_what_was_built,
    small_context,
)
from support.builds import (
    write_dockerfile as write,
)
from support.daemon import OWN_CLI, Engine, Ran
from support.terminal import Terminal

STAGES = (
    "FROM busybox AS base\n"
    "RUN echo one > /one\n"
    "FROM base AS left\n"
    "ARG WORD=first\n"
    "RUN echo $WORD > /left\n"
    "FROM base AS right\n"
    "ENV MODE=fast\n"
    "RUN echo $MODE > /right\n"
    "FROM base AS spare\n"
    "RUN echo spare\n"
    "FROM busybox\n"
    "COPY a.txt d /files/\n"
    "COPY --from=left /left /\n"
    "COPY --from=right /right /\n"
)


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files, and stages of which two may run at the same time."""
    context = small_context(tmp_path)
    write(context, STAGES)
    return context


def own(engine: Engine, context: Path, *flags: str, is_ok: bool = True) -> Ran:
    """`wherry build`."""
    ran = engine.wherry("build", *flags, str(context))
    assert not is_ok or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def reasons(shown: str) -> dict[str, list[str]]:
    """What `--why` says: by each step's words, its outcome and its causes."""
    found: dict[str, list[str]] = {}
    lines = shown.partition("Why:\n")[2].splitlines()
    for line in lines:
        if step := re.fullmatch(r" #\d+ \[.+\] (.*): (\w+|another image than before)", line):
            said = found[step[1]] = [step[2]]
        elif line.startswith("    - ") and "compared with the result of" not in line:
            said.append(line.removeprefix("    - "))
    return found


def test_why_a_step_ran(engine: Engine, context: Path) -> None:
    """Each cause is told where it is: files, arguments, ENV, the step before, the user's wish."""
    left, right = "RUN echo $WORD > /left", "RUN echo $MODE > /right"
    files, base = "COPY a.txt d /files/", "RUN echo one > /one"
    first = reasons(own(engine, context, "--why").stderr)
    assert first[base] == first[files] == ["ran", "nothing like it was kept: it is new here"]
    assert first[left] == ["ran", f"the step before it ran: {base}"]
    again = reasons(own(engine, context, "--why").stderr)
    assert [told for text, told in again.items() if "FROM" not in text] == [["cached"]] * 6
    assert again["FROM docker.io/library/busybox:latest"] == ["here"]

    (context / "a.txt").write_text("other\n")
    (context / "d/new").write_text("new\n")
    (context / "d/e/f.txt").unlink()
    (context / "b.txt").write_text("nobody copies this\n")
    write(context, STAGES.replace("MODE=fast", "MODE=slow"))
    found = reasons(own(engine, context, "--why", "--build-arg", "WORD=second").stderr)
    assert found[base] == ["cached"]
    assert found[files] == [
        "ran",
        "file changed: a.txt",
        "file removed: d/e/f.txt",
        "file added: d/new",
    ]
    assert found[left] == ["ran", "argument WORD: 'first' before, 'second' now"]
    assert found[right] == [
        "ran",
        "the instruction is another: 'ENV MODE=fast' before, 'ENV MODE=slow' now",
    ]

    write(context, STAGES.replace("echo one", "echo 1"))
    found = reasons(own(engine, context, "--why").stderr)
    assert found["RUN echo 1 > /one"] == [
        "ran",
        f"the instruction is another: '{base}' before, 'RUN echo 1 > /one' now",
    ]
    assert found[left] == ["ran", "the step before it ran: RUN echo 1 > /one"]
    found = reasons(own(engine, context, "--why", "--no-cache-filter", "left").stderr)
    assert found[left] == ["ran", "--no-cache-filter names its stage left"]
    assert found[right] == found["RUN echo 1 > /one"] == ["cached"]
    found = reasons(own(engine, context, "--why", "--no-cache").stderr)
    assert found[right] == ["ran", "--no-cache"]


def test_what_all_steps_see(engine: Engine, context: Path) -> None:
    """The moment of a build is seen by every step; an argument before FROM by those that ask."""
    step = "RUN echo sees > /x"
    write(context, f"ARG GLOBAL=1\nFROM busybox\n{step}\nARG GLOBAL\nRUN echo $GLOBAL > /y\n")
    own(engine, context)
    found = reasons(own(engine, context, "--why", "--build-arg", "GLOBAL=2").stderr)
    assert found[step] == ["cached"]
    assert found["RUN echo $GLOBAL > /y"] == ["ran", "argument GLOBAL: '1' before, '2' now"]
    moment = ("--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    found = reasons(own(engine, context, "--why", *moment).stderr)
    assert found[step] == ["ran", "SOURCE_DATE_EPOCH: nothing before, '1700000000' now"]


def test_why_a_result_is_gone(engine: Engine, context: Path) -> None:
    """What a prune removed is told with its name; a base that moved, with both ids."""
    write(context, "FROM busybox\nRUN echo a > /a\n")
    own(engine, context, "-t", "mine:1")
    write(context, "FROM mine:1\nRUN echo b > /b\n")
    own(engine, context)
    engine.docker_ok("rmi", "mine:1")
    engine.docker_ok("builder", "prune", "-af")
    found = reasons(own(engine, context, "--why", is_ok=False).stderr)
    assert found == {}  # mine:1 is not there
    write(context, "FROM busybox\nRUN echo a > /a\n")
    found = reasons(own(engine, context, "--why", "-t", "mine:1").stderr)
    (said,) = found["RUN echo a > /a"][1:]
    assert re.fullmatch(r"its result was removed by builder prune, 20\S+Z", said), said

    write(context, "FROM mine:1\nRUN echo b > /b\n")
    own(engine, context)
    before = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "mine:1")
    write(context, "FROM busybox\nRUN echo c > /a\n")
    own(engine, context, "-t", "mine:1")
    now = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "mine:1")
    write(context, "FROM mine:1\nRUN echo b > /b\n")
    found = reasons(own(engine, context, "--why").stderr)
    moved = f"mine:1 is another image: {before[:19]} before, {now[:19]} now"
    assert found["FROM docker.io/library/mine:1"] == ["another image than before", moved]
    assert found["RUN echo b > /b"] == ["ran", moved]


def test_a_plan_does_nothing(engine: Engine, context: Path) -> None:
    """What would run, what is cached, what is skipped and what may go on together; then it is."""
    shown = own(engine, context, "--plan", "-t", "planned").stdout
    assert re.search(r"\n       run  \[left 1/1\] RUN echo", shown), shown
    assert re.search(r"\n undecided  \[stage-4 3/4\] COPY --from=left", shown), shown
    assert "\n   skipped  stage spare (line 9): nothing needs it\n" in shown
    together = re.findall("At the same time: (.*)\n", shown)
    assert {"left", "right"} in [{*each.split(", ")} for each in together], shown
    assert shown.endswith("4 to run, 0 cached, 2 undecided\n"), shown
    assert engine.docker("image", "inspect", "planned").returncode == 1
    pruned = engine.wherry("builder", "prune", "-af", "--filter", "type=regular")
    assert pruned.stdout == "Total reclaimed space: 0B\n"
    own(engine, context)
    (context / "a.txt").write_text("other\n")
    shown = own(engine, context, "--plan").stdout
    assert "\n    cached  [base 2/2] RUN echo one > /one\n" in shown
    assert (
        "\n       run  [stage-4 2/4] COPY a.txt d /files/\n            - file changed: a.txt"
        in shown
    )
    write(context, "FROM none.test/none\nRUN true\n")
    shown = own(engine, context, "--plan").stdout
    assert shown.count("undecided  [") == 2, shown


def test_a_profile(engine: Engine, context: Path) -> None:
    """Time and bytes for each step; the path that the whole waited for."""
    write(
        context,
        "FROM busybox AS slow\nRUN sleep 0.6; head -c 100000 /dev/zero > /z\n"
        "FROM busybox AS fast\nRUN echo fast > /f\n"
        "FROM busybox\nCOPY --from=fast /f /\nCOPY --from=slow /z /\n",
    )
    shown = own(engine, context, "--profile").stderr.partition("Profile: ")[2]
    slow = re.search(r"\n \*\s+([0-9.]+)s\s+(\S+)kB\s+#(\d+) \[slow 2/2\]", shown)
    assert slow, shown
    assert float(slow[1]) >= 0.6
    assert float(slow[2]) >= 100
    fast = re.search(r"\n  \s+[0-9.]+s\s+\S+kB\s+#(\d+) \[fast 2/2\]", shown)
    assert fast, shown
    path = re.search(r"Critical path \(\*\): (.*), ", shown)
    assert path, shown
    assert f"#{slow[3]}" in path[1].split(" > ")
    assert f"#{fast[1]}" not in path[1].split(" > "), shown


def test_what_layers_carry_in_vain(engine: Engine, context: Path, tmp_path: Path) -> None:
    """Bytes that a later step writes again or removes, by who added them; as data too."""
    write(
        context,
        "FROM busybox\nRUN head -c 5000 /dev/zero > /a; head -c 300 /dev/zero > /b\n"
        "RUN rm /a /bin/busybox\n",
    )
    metadata = tmp_path / "metadata"
    shown = own(engine, context, "--profile", "--metadata-file", str(metadata)).stderr
    assert re.search(r" 5\.00kB  #\d+ \[2/3\] RUN head", shown), shown
    assert re.search(
        r"\nWasted: \S+ are written again .* further up, \S+ of it in the base\n", shown
    )
    ref = json.loads(metadata.read_text())["wherry.build.ref"]
    steps = engine.api("GET", f"/wherry/builds/{ref}/steps").json
    assert isinstance(steps, list), steps
    step = next(each for each in steps if each["Name"].startswith("[2/3] RUN"))
    assert (step["Outcome"], step["Wasted"], step["Error"]) == ("ran", 5000, "")
    assert step["Bytes"] >= 5300
    assert [steps[each]["Name"] for each in step["Needs"]] == [
        "[1/3] FROM docker.io/library/busybox:latest"
    ]
    assert [each["Kind"] for each in step["Causes"]] == ["first"]
    absent = engine.api("GET", "/wherry/builds/none/steps")
    assert (absent.status, absent.json) == (404, {"message": "no such build: none"})


def test_progress_as_lines_of_json(engine: Engine, context: Path) -> None:
    """Each message is a line; the names, the causes and the ends are in them."""
    lines = own(engine, context, "--progress=rawjson").stderr.splitlines()
    told = [json.loads(line) for line in lines]
    names = {each["digest"]: each["name"] for line in told for each in line.get("vertexes", ())}
    assert "[left 1/1] RUN echo $WORD > /left" in names.values()
    ended = [each for line in told for each in line.get("vertexes", ()) if each.get("completed")]
    assert {each["digest"] for each in ended} == names.keys()
    reports = [each for line in told for each in line.get("reports", ())]
    causes = [cause["kind"] for each in reports for cause in each.get("causes", ())]
    assert len(causes) == 6  # One for each step that ran, whether it ever ran before.
    assert {*causes} <= {"first", "parent", "collected"}


def test_progress_as_lines_of_text(engine: Engine, context: Path) -> None:
    """Numbers, output with its time, ends; a failure with the lines of the Dockerfile."""
    write(context, "FROM busybox\nRUN echo said; printf unended\nWORKDIR /w\n")
    shown = own(engine, context, "--progress", "plain", "-t", "shown").stderr
    wanted = (
        r"#1 \[internal\] load build definition from Dockerfile\n"
        r"#1 transferring dockerfile: 54B done\n#1 DONE 0\.\ds\n\n"
        r"#2 \[internal\] load \.dockerignore\n#2 transferring context: done\n#2 DONE 0\.\ds\n\n"
        r"#3 \[internal\] load metadata for docker\.io/library/busybox:latest\n#3 DONE 0\.\ds\n\n"
        r"#4 \[1/3\] FROM docker\.io/library/busybox:latest\n#4 DONE 0\.\ds\n\n"
        r"#5 \[2/3\] RUN echo said; printf unended\n#5 \d\.\d\d\d said\n"
        r"#5 \d\.\d\d\d unended\n#5 DONE \d\.\ds\n\n"
        r"#6 \[3/3\] WORKDIR /w\n#6 DONE \d\.\ds\n\n"
        r"#7 exporting to image\n#7 writing image sha256:[0-9a-f]{64} done\n"
        r"#7 naming to docker\.io/library/shown:latest done\n#7 DONE 0\.\ds\n"
    )
    assert re.fullmatch(wanted, shown), shown
    assert "#5 CACHED\n" in own(engine, context, "--progress", "plain").stderr
    write(context, "FROM busybox\n\nRUN echo said; exit 7\nRUN true\n")
    failed = own(engine, context, is_ok=False)
    assert failed.returncode == 1
    problem = 'process "/bin/sh -c echo said; exit 7" did not complete successfully: exit code: 7'
    assert f"\n#5 ERROR: {problem}\n------\n > [2/3] RUN echo said; exit 7:\n" in failed.stderr
    assert failed.stderr.endswith(
        " said\n------\nDockerfile:3\n--------------------\n"
        "   1 |     FROM busybox\n   2 |     \n   3 | >>> RUN echo said; exit 7\n"
        "   4 |     RUN true\n   5 |     \n--------------------\n"
        f"ERROR: failed to build: failed to solve: {problem}\n"
    ), failed.stderr
    quiet = own(engine, context, "--progress=quiet", is_ok=False)
    assert quiet.stderr == f"ERROR: failed to build: failed to solve: {problem}\n"
    wrong = own(engine, context, "--progress=loud", is_ok=False)
    assert (wrong.returncode, wrong.stderr) == (1, "invalid progress mode loud\n")
    no_terminal = own(engine, context, "--progress=tty", is_ok=False)
    assert no_terminal.stderr.startswith("failed to get console")


def test_names_of_steps(engine: Engine, context: Path) -> None:
    """Which platform, where there are several; which stage; and what is a step at all."""
    output = f"type=oci,dest={context.parent}/{context.name}.tar"
    flags = ("--platform", "linux/amd64,linux/arm64", "-o", output)
    write(context, "FROM scratch AS files\nCOPY a.txt /\nFROM files\nCOPY \\\n  b.txt   /b\n")
    shown = own(engine, context, "--progress=plain", *flags).stderr
    for platform in ("linux/amd64", "linux/arm64"):
        assert f" [{platform} files 1/1] COPY a.txt /\n" in shown, shown
        assert f" [{platform} stage-1 1/1] COPY b.txt /b\n" in shown, shown
    write(context, "FROM scratch AS alone\nENV A=1\nCOPY --from=busybox /etc /etc\nWORKDIR /w\n")
    shown = own(engine, context, "--progress=plain").stderr
    names = [line.partition(" ")[2] for line in re.findall(r"(?m)^#\d+ .*", shown)]
    assert "FROM docker.io/library/busybox:latest" in names, shown
    assert "[1/2] COPY --from=busybox /etc /etc" in names
    assert "[2/2] WORKDIR /w" in names


def test_progress_on_a_terminal(engine: Engine, context: Path) -> None:
    """Lines are drawn over, none is cleared first, and the last picture stays."""
    write(context, "FROM busybox\nRUN echo said; sleep 1.2; echo again\n")
    command = [*OWN_CLI, "build", str(context)]
    with Terminal(command, engine.environment, rows=20, columns=70) as terminal:
        terminal.expect(r"\[\+\] Building \d\.\ds \(\d/\d\)", within_s=30)
        terminal.expect(r" => \[2/2\] RUN echo said; sleep 1\.2; echo again +0\.\ds")
        terminal.expect(r" => => # said")
        seen = terminal.expect(r"(?s).*\[\+\] Building \d\.\ds \((\d)/\1\) FINISHED").group()
        assert "\x1b[2J" not in seen
        assert "\x1b[2K" not in seen
        assert seen.count("\x1b[?25l") >= 3
        terminal.expect(r" => \[2/2\] RUN echo said; sleep 1\.2; echo again +1\.\ds")
        terminal.expect(r" => exporting to image")
        terminal.expect(re.escape("\x1b[?25h"))
        assert terminal.wait() == 0


def test_the_classic_words_with_dockers_switch(engine: Engine, context: Path) -> None:
    """DOCKER_BUILDKIT=0 has `wherry build` speak as `docker build` does then."""
    write(context, "FROM busybox\nRUN echo said\n")
    theirs = classic_build(engine, context, "-t", "classic")
    environment = {**engine.environment, "DOCKER_BUILDKIT": "0"}
    with Terminal([*OWN_CLI, "build", str(context)], environment) as terminal:
        terminal.expect("Sending build context to Docker daemon")
        terminal.expect(r"Step 2/2 : RUN echo said\s+ ---> Using cache\s+ ---> ([0-9a-f]{12})")
        assert terminal.wait() == 0
    assert "Step 2/2 : RUN echo said" in theirs.stdout
