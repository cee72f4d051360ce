"""Chapter 3 of the course: naming and inspecting."""

import json
import re

import pytest

from support.daemon import Engine
from support.waiting import wait_until


@pytest.mark.slide("3.3", "3.4", "3.5")
def test_names(course: Engine) -> None:
    """A container is reached by its name; without one it gets a mood and an inventor."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    wait_until("the clock ticks", lambda: course.docker_ok("logs", "ticktock") != "")
    unnamed = course.docker_ok("run", "-d", "clock")
    made_up = course.docker_ok("inspect", "-f", "{{.Name}}", unnamed)
    assert re.fullmatch(r"/[a-z]+_[a-z]+[0-9]*", made_up)
    assert course.docker_ok("stop", "-t", "0", "ticktock") == "ticktock"


@pytest.mark.slide("3.5", "3.6")
def test_names_are_unique_until_renamed(course: Engine) -> None:
    """A name that exists is refused; renaming frees it without touching the container."""
    first = course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    refused = course.docker("run", "--name", "ticktock", "clock")
    assert refused.returncode == 125
    assert (
        'Conflict. The container name "/ticktock" is already in use by container '
        f'"{first}". You have to remove (or rename) that container to be able to reuse that name.'
    ) in refused.stderr
    assert course.docker_ok("rename", "ticktock", "oldclock") == ""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    assert course.docker_ok("inspect", "-f", "{{.Id}} {{.State.Running}}", "oldclock") == (
        f"{first} true"
    )


@pytest.mark.slide("3.7", "3.8", "3.9")
def test_inspect(course: Engine) -> None:
    """Pages of JSON, for jq or for a Go template."""
    container = course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    (document,) = json.loads(course.docker_ok("inspect", "ticktock"))
    assert document["Id"] == container
    created = course.docker_ok("inspect", "--format", "{{ json .Created }}", "ticktock")
    assert re.fullmatch(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"', created)
    assert created == json.dumps(document["Created"])
    both = course.docker_ok("inspect", "-f", "{{.Config.Image}}", "ticktock", container[:6])
    assert both == "clock\nclock"
