"""Chapter 20 of the course: the ways by which an application gets its configuration."""

from pathlib import Path

import pytest

from support.builds import build, write_tree
from support.daemon import Engine
from support.waiting import wait_until


@pytest.mark.slide("20.2")
def test_by_arguments(course: Engine) -> None:
    """Arguments behind the image are the entrypoint's."""
    container = course.docker_ok("run", "-d", "hamba", "80", "www1:80", "www2:80")
    shown = course.docker_ok("inspect", "-f", "{{.Path}} {{.Args}}", container)
    assert shown == "/hamba [80 www1:80 www2:80]"

    def told() -> str:
        return course.docker("exec", container, "cat", "/config/list").stdout

    wait_until("it is configured", lambda: told() == "80 www1:80 www2:80\n")


@pytest.mark.slide("20.4")
def test_by_environment(course: Engine) -> None:
    """`-e` sets a variable that the program reads."""
    url = "http://es42:9201/"
    shown = course.docker_ok("run", "--rm", "-e", f"ELASTICSEARCH_URL={url}", "busybox", "env")
    assert f"ELASTICSEARCH_URL={url}" in shown.splitlines()


@pytest.mark.slide("20.6")
def test_baked_in(course: Engine, tmp_path: Path) -> None:
    """`FROM prometheus` and `COPY`: the image's default gives way to the configuration."""
    write_tree(
        tmp_path,
        {
            "default/Dockerfile": "FROM busybox\nRUN echo default >/etc/prometheus.conf\n"
            "CMD cat /etc/prometheus.conf\n",
            "own/Dockerfile": "FROM prometheus\nCOPY prometheus.conf /etc\n",
            "own/prometheus.conf": "scrape_interval: 15s\n",
        },
    )
    build(course, tmp_path / "default", "prometheus")
    build(course, tmp_path / "own", "configured")
    assert course.docker_ok("run", "--rm", "prometheus") == "default"
    assert course.docker_ok("run", "--rm", "configured") == "scrape_interval: 15s"
    course.docker_ok("rmi", "configured", "prometheus")


@pytest.mark.slide("20.8")
def test_in_a_volume(course: Engine) -> None:
    """A named volume keeps the configuration; another container may edit it."""
    mount = ("-v", "appconfig:/etc/appconfig")
    edit = "echo level=debug >/etc/appconfig/app.conf"
    course.docker_ok("run", "--rm", *mount, "busybox", "sh", "-c", edit)
    read = course.docker_ok("run", "--rm", *mount, "busybox", "cat", "/etc/appconfig/app.conf")
    assert read == "level=debug"
    assert course.docker_ok("volume", "rm", "appconfig") == "appconfig"


@pytest.mark.slide("20.10", "20.11")
def test_in_a_volume_that_changes(course: Engine) -> None:
    """`--volumes-from` lets a second container change what the first one reads."""
    course.docker_ok("run", "-d", "--name", "loadbalancer", "hamba", "80", "goo.gl:80")
    course.docker_ok(
        "run", "--rm", "--volumes-from", "loadbalancer", "hamba", "reconfigure", "80",
        "google.com:80",
    )  # fmt: skip
    listed = course.docker_ok("exec", "loadbalancer", "cat", "/config/list")
    assert listed == "80 google.com:80"


@pytest.mark.slide("20.12")
def test_secrets(course: Engine) -> None:
    """Who may ask the engine sees variables; what comes by standard input is seen by nobody."""
    container = course.docker_ok("create", "-e", "PASSWORD=hunter2", "busybox")
    assert "PASSWORD=hunter2" in course.docker_ok("inspect", container)
    read = ("busybox", "sh", "-c", "read secret; echo ${#secret}")
    assert course.docker_ok("run", "-i", "--name", "told", *read, stdin="hunter2\n") == "7"
    assert "hunter2" not in course.docker_ok("inspect", "told")
