"""Chapter 4 of the course: labels."""

import json

import pytest

from support.daemon import Engine


@pytest.mark.slide("4.1", "4.2", "4.3", "4.4")
def test_labels(course: Engine) -> None:
    """Set with -l, shown by inspect, selected by ps; no value is an empty value."""
    alice = course.docker_ok("run", "-d", "-l", "owner=alice", "clock")
    bob = course.docker_ok("run", "-d", "-l", "owner=bob", "clock")
    nobody = course.docker_ok("run", "-d", "-l", "owner", "clock")
    last = course.docker_ok("ps", "-lq")
    assert nobody.startswith(last)
    (document,) = json.loads(course.docker_ok("inspect", last))
    assert document["Config"]["Labels"] == {"owner": ""}
    running = course.docker_ok("ps", "-q").split()
    shown = course.docker_ok("inspect", *running, "--format", "OWNER={{.Config.Labels.owner}}")
    assert shown.splitlines() == ["OWNER=", "OWNER=bob", "OWNER=alice"]
    by_key = course.docker_ok("ps", "--filter", "label=owner", "-q", "--no-trunc").split()
    assert by_key == [nobody, bob, alice]
    assert course.docker_ok("ps", "--filter", "label=owner=alice", "-q", "--no-trunc") == alice
