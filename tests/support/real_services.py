"""Images of real services: a program of this machine, and the libraries that it needs."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.builds import build, write_tree
from support.daemon import Engine

PROGRAMS: Mapping[str, tuple[str, str, str]] = {
    # One program under two names: what it is called says what it does.
    "redis": (
        "/usr/bin/redis-check-rdb",
        "/usr/bin/redis-server",
        'EXPOSE 6379\nCMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]\n',
    ),
    "haproxy": (
        "/usr/sbin/haproxy",
        "/usr/sbin/haproxy",
        'STOPSIGNAL SIGUSR1\nCMD ["haproxy", "-f", "/etc/haproxy.cfg"]\n',
    ),
}
"""Where a program is, where it is to be, and the rest of its Dockerfile."""

SMALL: Mapping[str, Mapping[str, str]] = {
    # A page, on the port that its image exposes.
    "nginx": {
        "Dockerfile": "FROM busybox\nCOPY index.html /www/\nEXPOSE 80\nSTOPSIGNAL SIGTERM\n"
        'CMD ["httpd", "-f", "-h", "/www"]\n',
        "index.html": "Welcome to nginx!\n",
    },
    # A document with the name of whoever answers.
    "elasticsearch:2": {
        "Dockerfile": "FROM busybox\nCOPY es /\nEXPOSE 9200\nCMD /es\n",
        "es": '#!/bin/sh\nmkdir /www; echo "{ \\"name\\" : \\"$(hostname)\\" }" >/www/index.html\n'
        "exec httpd -f -h /www -p 9200\n",
    },
    # A page that counts its visits in redis.
    "jpetazzo/trainingwheels": {
        "Dockerfile": "FROM busybox\nCOPY index.cgi /www/cgi-bin/\nEXPOSE 5000\n"
        'CMD ["httpd", "-f", "-h", "/www", "-p", "5000"]\n',
        "index.cgi": "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
        "hits=$(printf 'INCR hits\\r\\nQUIT\\r\\n' | nc redis 6379 2>&1 | head -n 1)\n"
        'case "$hits" in :*) echo "served by $(hostname), visit ${hits#:}" ;;\n'
        '*) echo "Error: ${hits:-no answer}" ;; esac\n',
    },
}


def build_services(engine: Engine, place: Path) -> list[str]:
    """Build every image of this module; their names."""
    for number, (name, files) in enumerate(SMALL.items()):
        directory = place / str(number)
        write_tree(directory, files)
        build(engine, directory, name)
    for name, (program, inside, lines) in PROGRAMS.items():
        directory = place / name
        _copy_program(program, directory, inside)
        (directory / "Dockerfile").write_text(f"FROM busybox\nCOPY . /\n{lines}")
        build(engine, directory, name)
    return [*SMALL, *PROGRAMS]


def _copy_program(program: str, directory: Path, inside: str) -> None:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(/[^ ]+) \(0x", listed)
    for source, target in ((program, inside), *((each, each) for each in libraries)):
        place = directory / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
