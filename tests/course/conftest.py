"""The course, command by command, as its reader types them; its images are built here.

Images that the course pulls are stood in for by small ones on busybox, made by `docker build`.
"""

from collections.abc import Iterator, Mapping

import pytest

from support.builds import build, write_tree
from support.daemon import Engine
from support.real_services import build_services

IMAGES: Mapping[str, Mapping[str, str]] = {
    # Prints the time, every second.
    "clock": {
        "Dockerfile": 'FROM busybox\nCMD ["sh", "-c", "while date; do sleep 1; done"]\n',
    },
    # A web server without its directory: it logs why, and ends without a word.
    "crashtest": {
        "Dockerfile": "FROM busybox\nRUN echo hi >/etc/motd\nCOPY serve /\nCMD /serve\n",
        "serve": "#!/bin/sh\nmkdir -p /var/log/nginx; rm /etc/motd\n"
        "echo 'open() \"/run/nginx/nginx.pid\" failed (2: No such file or directory)'"
        " >/var/log/nginx/error.log\nexit 1\n",
    },
    # A web page on an exposed port, out of the code beside the Dockerfile.
    "namer": {
        "Dockerfile": "FROM busybox\nCOPY . /src\nWORKDIR /src\nRUN test -f index.html\n"
        'CMD ["httpd", "-f", "-p", "9292"]\nEXPOSE 9292\n',
        "index.html": '<p style="color: royalblue">Synergy of Things</p>\n',
    },
    # A load balancer that writes its configuration from its arguments, and can be told again.
    "hamba": {
        "Dockerfile": 'FROM busybox\nCOPY hamba /\nVOLUME /config\nENTRYPOINT ["/hamba"]\n',
        "hamba": '#!/bin/sh\n[ "$1" = reconfigure ] && shift && again=yes\n'
        'echo "$@" >/config/list\n[ "$again" ] || exec sleep 1000\n',
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests beside this file are parity tests."""
    for item in items:
        if "/tests/course/" in str(item.path):
            item.add_marker(pytest.mark.parity)


@pytest.fixture(scope="module", autouse=True)
def _leaves_nothing(clean_census: None) -> None:
    """Every chapter ends with the census of its beginning."""


@pytest.fixture(scope="module")
def course_images(
    shared_engine: Engine, clean_census: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The engine with the images of the course."""
    for name, files in IMAGES.items():
        directory = tmp_path_factory.mktemp(name)
        write_tree(directory, files)
        build(shared_engine, directory, name)
    yield shared_engine
    shared_engine.remove_all_containers()
    shared_engine.docker_ok("rmi", *IMAGES)
    shared_engine.docker_ok("volume", "prune", "-af")
    shared_engine.docker_ok("builder", "prune", "-af")


@pytest.fixture(scope="module")
def service_images(
    shared_engine: Engine, clean_census: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The engine with images of services, two of them real ones."""
    shared_engine.docker_ok("tag", "busybox", "alpine")
    names = build_services(shared_engine, tmp_path_factory.mktemp("services"))
    yield shared_engine
    shared_engine.remove_all_containers()
    shared_engine.docker_ok("rmi", "alpine", *names)
    shared_engine.docker_ok("builder", "prune", "-af")


@pytest.fixture
def services(service_images: Engine) -> Iterator[Engine]:
    """The same, with no containers and no networks of others before and after the test."""
    yield service_images
    service_images.remove_all_containers()
    service_images.docker_ok("network", "prune", "-f")


@pytest.fixture
def course(course_images: Engine) -> Iterator[Engine]:
    """The same, with no containers before and after the test."""
    yield course_images
    course_images.remove_all_containers()
