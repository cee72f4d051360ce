"""A web server that an engine reaches, and a git repository on it."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.daemon import Engine


@contextmanager
def web_site(engine: Engine, place: Path) -> Iterator[str]:
    """The URL at which a directory is shown inside the engine's machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, directory=str(place))  # type: ignore[arg-type]

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = engine.machine.listen("127.0.0.1", 0)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def git(place: Path, *words: str) -> str:
    """Run git in a directory, as nobody in particular."""
    identity = (
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@example.com",
        "-c",
        "commit.gpgsign=false",
    )
    return subprocess.run(
        ["git", *identity, *words], cwd=place, capture_output=True, text=True, check=True
    ).stdout.strip()


def git_repository(site: Path) -> Path:
    """The tree of `r.git` on a site: `main` and a tag `v1`, and a link that leads out."""
    tree = site / "r.git"
    (tree / "sub").mkdir(parents=True)
    git(tree, "init", "-q", "-b", "main")
    (tree / "Dockerfile").write_text("FROM busybox\nCOPY f /f\n")
    (tree / "f").write_text("first\n")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "first")
    git(tree, "tag", "v1")
    (tree / "f").write_text("second\n")
    (tree / "sub/Dockerfile").write_text("FROM busybox\nCOPY g /g\n")
    (tree / "sub/g").write_text("below\n")
    os.symlink("../../../../../../etc", tree / "out")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "second")
    git(tree / ".git", "update-server-info")
    return tree
