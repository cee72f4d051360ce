"""Chapters 1 and 2 of the course: ways to write a Dockerfile."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import build, remove_what_was_built, write_tree
from support.daemon import Engine
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_images(engine: Engine) -> Iterator[None]:
    yield
    remove_what_was_built(engine)


@pytest.mark.slide("1.1", "1.14")
def test_tests_in_the_build(engine: Engine, tmp_path: Path) -> None:
    """A test that fails ends the build without an image; one that passes leaves a clean image."""
    stages = (
        "FROM busybox AS build\nRUN echo program >/program\n"
        "FROM build AS test\nRUN touch /library-for-tests\nCOPY test /\n"
        "RUN sh /test && touch /ok\n"
        "FROM build\nCOPY --from=test /ok /\nCMD cat /program\n"
    )
    write_tree(tmp_path, {"Dockerfile": stages, "test": "grep -q programme /program\n"})
    with pytest.raises(AssertionError, match="returned a non-zero code: 1"):
        build(engine, tmp_path, "made")
    assert engine.docker("image", "inspect", "made").returncode == 1
    (tmp_path / "test").write_text("grep -q program /program\n")
    build(engine, tmp_path, "made")
    assert engine.docker_ok("run", "--rm", "made") == "program"
    assert engine.docker("run", "--rm", "made", "ls", "/library-for-tests").returncode == 1


@pytest.mark.slide("1.3", "1.5")
def test_one_layer_or_many(engine: Engine, tmp_path: Path) -> None:
    """What is made and removed in one step is in no layer; in two steps its bytes stay."""
    fill, clear = "head -c 1000000 /dev/urandom >/big", "rm /big"
    sizes = {}
    for name, steps in (("made", f"RUN {fill} && {clear}"), ("other", f"RUN {fill}\nRUN {clear}")):
        write_tree(tmp_path, {"Dockerfile": f"FROM busybox\n{steps}\n"})
        build(engine, tmp_path, name)
        sizes[name] = json.loads(engine.docker_ok("image", "inspect", name))[0]["Size"]
    assert sizes["other"] - sizes["made"] > 900_000


@pytest.mark.slide("1.6", "1.9")
def test_versions_in_variables(engine: Engine, tmp_path: Path) -> None:
    """Several in one instruction, used by later ones and seen in the container."""
    text = "FROM busybox\nENV PIP=9.0.3 \\\n    PLONE=5.1.0\nRUN echo pip-$PIP.tar >/name\n"
    write_tree(tmp_path, {"Dockerfile": text})
    build(engine, tmp_path, "made")
    shown = engine.docker_ok("run", "--rm", "made", "sh", "-c", "cat /name; echo $PLONE")
    assert shown == "pip-9.0.3.tar\n5.1.0"


@pytest.mark.slide("1.7", "1.8")
def test_an_entrypoint_script(engine: Engine, tmp_path: Path) -> None:
    """The chapter's: options become the server's, root becomes somebody else, the rest runs."""
    script = (
        "#!/bin/sh\nset -e\n"
        'if [ "${1#-}" != "$1" ]; then set -- server "$@"; fi\n'
        'if [ "$1" = server -a "$(id -u)" = 0 ]; then\n'
        '    chown -R nobody .\n    exec su -s /bin/sh nobody -c \'exec "$0" "$@"\' -- "$0" "$@"\n'
        'fi\nexec "$@"\n'
    )
    server = '#!/bin/sh\necho "$(id -un) serves $* in $(pwd)"\n'
    text = (
        "FROM busybox\nCOPY entrypoint /\nCOPY server /bin/\nWORKDIR /data\n"
        'ENTRYPOINT ["/entrypoint"]\nCMD ["server"]\n'
    )
    write_tree(tmp_path, {"Dockerfile": text, "entrypoint": script, "server": server})
    build(engine, tmp_path, "made")
    run = ("run", "--rm", "made")
    assert engine.docker_ok(*run) == "nobody serves  in /data"
    assert engine.docker_ok(*run, "--port", "1") == "nobody serves --port 1 in /data"
    assert engine.docker_ok(*run, "id", "-un") == "root"


@pytest.mark.slide("1.10", "1.11", "1.12")
@pytest.mark.stock_differs
def test_overrides_for_development(engine: Engine, tmp_path: Path) -> None:
    """The same image: by itself as in production, by Compose with command, variable and code."""
    compose = (
        "services:\n  www:\n    build: www\n    ports: [8000:5000]\n    user: nobody\n"
        "    environment: {DEBUG: 1}\n    command: sh counter\n    volumes: [./www:/src]\n"
    )
    tree = {
        "docker-compose.yml": compose,
        "www/Dockerfile": "FROM busybox\nCOPY . /src\nWORKDIR /src\n"
        "CMD echo production\nEXPOSE 5000\n",
        "www/counter": "echo development $DEBUG $(id -un); cat page; exec sleep 1000\n",
        "www/page": "first\n",
    }
    write_tree(tmp_path, tree)
    build(engine, tmp_path / "www", "made")
    assert engine.docker_ok("run", "--rm", "made") == "production"
    (tmp_path / "www/page").write_text("edited\n")
    up = engine.wherry(
        "compose", "-p", "tw", "-f", str(tmp_path / "docker-compose.yml"), "up", "-d"
    )
    assert up.returncode == 0, up.stderr
    wait_until(
        "it shows the code of the host",
        lambda: engine.docker_ok("logs", "tw-www-1") == "development 1 nobody\nedited",
    )
    engine.wherry("compose", "-p", "tw", "down", "-t", "0", "--rmi", "all")


@pytest.mark.slide("2.1")
def test_the_sizes_of_multi_stage_builds(engine: Engine, tmp_path: Path) -> None:
    """The exercise: the compiler stays behind, and the image is as small as the program."""
    compiler = "FROM busybox AS build\nRUN head -c 3000000 /dev/urandom >/compiler\nCOPY hi /\n"
    write_tree(tmp_path, {"Dockerfile": compiler, "hi": "hi\n"})
    build(engine, tmp_path, "other")
    (tmp_path / "Dockerfile").write_text(f"{compiler}FROM scratch\nCOPY --from=build /hi /\n")
    build(engine, tmp_path, "made")
    listed = engine.docker_ok("images", "--format", "{{.Repository}} {{.Size}}").splitlines()
    assert "made 3B" in listed
    big = json.loads(engine.docker_ok("image", "inspect", "other"))[0]["Size"]
    assert big > 3_000_000
