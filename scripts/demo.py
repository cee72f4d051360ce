"""The course's first stack: a web page that counts, in flask and redis, from their Dockerfiles.

Run by `make demo`: a daemon with roots of its own under .work/demo, a base image made of Debian's
packages, two images built on it, the stack brought up by Compose, its page fetched twice, what
was done to the kernel explained, the network drawn, and everything away again but the images.
"""

import os
import sys
import time

from own_engine import DATA, EXAMPLES, fetch, free_port, own_engine

STACK = EXAMPLES / "trainingwheels"
VERSIONS = "client {{.Client.Version}}, server {{.Server.Version}}"


def main() -> int:
    """The demonstration; the exit code."""
    if os.geteuid() != 0:
        print("demo: a container engine needs root", file=sys.stderr)
        return 1
    begun = time.monotonic()
    with own_engine() as clients:
        clients.show(STACK, "docker", "version", "--format", VERSIONS)
        clients.has_base_images()
        port = free_port()
        try:
            clients.show(STACK, "wherry", "compose", "build", "--quiet")
            clients.show(STACK, "wherry", "compose", "up", "--detach", PORT=str(port))
            clients.show(STACK, "wherry", "compose", "ps")
            pages = [_shown_page(f"http://127.0.0.1:{port}/") for _ in range(2)]
            clients.show(STACK, "wherry", "explain", "trainingwheels-www-1")
            clients.show(STACK, "wherry", "map")
        finally:
            clients.show(STACK, "wherry", "compose", "down")
    print(f"\nThat took {time.monotonic() - begun:.1f} s. The images stay in {DATA} for the next.")
    return 0 if all("This page was seen" in page for page in pages) else 1


def _shown_page(url: str) -> str:
    print(f"\n$ curl {url}", flush=True)
    page = fetch(url)
    print(page)
    return page


if __name__ == "__main__":
    sys.exit(main())
