"""Build checks, by our own client and by BuildKit's protocol: every rule by its name."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.buildx import BuildClient
from support.daemon import Engine

JSON_CMD = (
    "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"
)
QUIET = 'FROM busybox AS base\nWORKDIR /w\nRUN --mount=type=secret,id=KEY true\nCMD ["sh"]\n'


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files, one of which is left out."""
    context = small_context(tmp_path)
    (context / ".dockerignore").write_text("b.txt\n")
    return context


def findings(engine: Engine, context: Path, *flags: str) -> list[dict[str, object]]:
    """What `--check` finds."""
    ran = engine.wherry("build", "--call=check,format=json", *flags, str(context))
    found = json.loads(ran.stdout)
    assert ran.returncode == (1 if found["warnings"] or "buildError" in found else 0), ran.stderr
    return [*found["warnings"]]


def test_rules_that_ask_the_build(engine: Engine, context: Path) -> None:
    """Variables of the base, ignored files, and directories are known when stages are planned."""
    write(
        context,
        "ARG TAG\nFROM busybox${TAG} AS base\nARG known\nENV MODE=fast\n"
        "ENV PATH=$PAHT:/b A=${x:-1} B=$known C=$HTTP_PROXY\nRUN echo $shell\n"
        "FROM base\nLABEL mode=$MODE known=$known\nWORKDIR app/src\nWORKDIR more\n"
        "COPY a.txt b.txt *.txt /d/\nFROM busybox AS unneeded\nLABEL a=$b\n"
        "FROM none.test/none AS unknown\nLABEL a=$b\n",
    )
    found = findings(engine, context, "--target", "1")
    assert [(each["ruleName"], each["detail"]) for each in found] == [
        ("UndefinedVar", "Usage of undefined variable '$PAHT' (did you mean $PATH?)"),
        (
            "WorkdirRelativePath",
            'Relative workdir "app/src" can have unexpected results if the base image changes',
        ),
        (
            "CopyIgnoredFile",
            'Attempting to Copy file "b.txt" that is excluded by .dockerignore',
        ),
    ]
    lines = [each["location"]["ranges"][0]["start"]["line"] for each in found]  # type: ignore[index]
    assert lines == [5, 9, 11]
    assert findings(engine, context) == []  # The last base is not here: its variables may be any.


def test_the_user_s_wish(engine: Engine, context: Path) -> None:
    """A directive or an argument skips rules, or makes findings an error of the build."""
    broken = "FROM busybox AS Base\nCMD echo\n"
    names = lambda *flags: {each["ruleName"] for each in findings(engine, context, *flags)}  # noqa: E731
    write(context, broken)
    assert names() == {"StageNameCasing", "JSONArgsRecommended"}
    write(context, f"# check=skip=StageNameCasing, Other\n{broken}")
    assert names() == {"JSONArgsRecommended"}
    argument = "BUILDKIT_DOCKERFILE_CHECK=skip=all"
    assert names("--build-arg", argument) == set()
    write(context, f"# check=error=true;skip=JSONArgsRecommended\n{broken}")
    refused = engine.wherry("build", str(context))
    assert refused.returncode == 1
    assert refused.stderr.endswith("lint violation found for rules: StageNameCasing\n")
    assert engine.wherry("build", "--build-arg", argument, str(context)).returncode == 0
    write(context, f"# check=sk=all\n{broken}")
    refused = engine.wherry("build", str(context))
    assert 'failed to solve: invalid check option "sk"\n' in refused.stderr


def test_warnings_of_a_build(engine: Engine, context: Path) -> None:
    """A build succeeds all the same and says what was found; --check shows the lines."""
    write(context, "FROM busybox\nCMD echo hi\n")
    built = engine.wherry("build", str(context))
    assert built.returncode == 0
    assert built.stderr.endswith(
        "\n 1 warning found (use wherry --debug to expand):\n"
        f" - JSONArgsRecommended: {JSON_CMD} (line 2)\n"
    ), built.stderr
    told = engine.wherry("--debug", "build", str(context)).stderr
    assert (
        "\nMore info: https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n" in told
    )
    assert "\n   2 | >>> CMD echo hi\n" in told
    checked = engine.wherry("build", "--check", str(context))
    assert (checked.returncode, checked.stderr) == (1, "")
    assert checked.stdout == (
        "Check complete, 1 warning has been found!\n\n"
        "WARNING: JSONArgsRecommended - "
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n"
        f"{JSON_CMD}\nDockerfile:2\n--------------------\n"
        "   1 |     FROM busybox\n   2 | >>> CMD echo hi\n   3 |     \n--------------------\n"
    )
    write(context, "FROM busybox\nRUNN x\n")
    checked = engine.wherry("build", "--check", str(context))
    assert checked.returncode == 1
    assert "\nERROR: dockerfile parse error on line 2: unknown instruction: RUNN" in checked.stdout
    write(context, QUIET)
    checked = engine.wherry("build", "--check", str(context))
    assert (checked.returncode, checked.stdout) == (0, "Check complete, no warnings found.\n")
    assert engine.docker_ok("images", "-q", "--filter", "dangling=true").count("\n") <= 1


DESCRIBED = (
    "# VERSION of the tool\nARG VERSION=1\n\n# tools everything for building\n"
    "FROM busybox AS tools\nARG MODE=fast\n"
    "RUN --mount=type=secret,id=token,required --mount=type=cache,target=/c "
    "--mount=type=ssh true\n"
    "FROM tools AS other\nARG UNUSED=1\nFROM scratch\nCOPY --from=tools /bin /bin\n"
)


def test_outline_and_targets(engine: Engine, context: Path) -> None:
    """What a target can be given, and which there are."""
    write(context, DESCRIBED)
    call = ("build", "--call")
    ran = engine.wherry(*call, "targets", str(context))
    assert ran.stdout == (
        "TARGET      DESCRIPTION\ntools       everything for building\nother\n(default)\n"
    )
    flags = ("--target", "tools", "--build-arg", "MODE=slow")
    ran = engine.wherry(*call, "outline", *flags, str(context))
    assert ran.stdout == (
        "TARGET:        tools\nDESCRIPTION:   everything for building\n\n"
        "BUILD ARG   VALUE   DESCRIPTION\nVERSION     1       of the tool\nMODE        slow\n\n"
        "SECRET   REQUIRED\ntoken    true\n\nSSH       REQUIRED\ndefault\n\nCACHE MOUNT\n/c\n"
    )
    wrong = engine.wherry(*call, "other", str(context))
    assert wrong.returncode == 1
    assert "invalid call 'other'" in wrong.stderr


def test_buildx_asks_as_well(engine: Engine, tmp_path: Path) -> None:
    """BuildKit's own client prints outlines, targets and the warnings of a build."""
    client = BuildClient(engine, small_context(tmp_path))
    client.write(Dockerfile=DESCRIBED)
    ask = lambda what, *flags: client.docker(  # noqa: E731
        "buildx", "build", "--print", what, *flags, ".", BUILDX_EXPERIMENTAL="1"
    )
    shown = ask("outline", "--target", "tools").stdout
    assert "VERSION" in shown
    assert "of the tool" in shown
    assert "token" in shown
    shown = ask("targets").stdout
    assert "everything for building" in shown
    assert "(default)" in shown
    client.write(Dockerfile="FROM busybox\nCMD echo hi\n")
    built = client.docker("build", "--progress", "plain", ".").stderr
    assert f"JSONArgsRecommended: {JSON_CMD} (line 2)" in built, built


def test_the_services_of_a_project(engine: Engine, context: Path) -> None:
    """`compose build --check` looks at each; nothing is built, and one that is bad is told."""
    write(context, "FROM busybox\nCMD x\n")
    (context / "Good").write_text(QUIET)
    file = context / "compose.yaml"
    file.write_text("services: {bad: {build: .}, good: {build: {context: ., dockerfile: Good}}}")
    check = ("compose", "-f", str(file), "build", "--check")
    ran = engine.wherry(*check)
    assert ran.returncode == 1, ran.stderr
    assert "bad: Check complete, 1 warning has been found!" in ran.stdout
    assert "JSONArgsRecommended" in ran.stdout
    assert "good: Check complete, no warnings found." in ran.stdout
    assert engine.wherry(*check, "good").returncode == 0
    assert engine.docker_ok("images", "--format", "{{.Repository}}") == "busybox"
