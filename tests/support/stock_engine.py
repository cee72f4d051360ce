"""Debian's dockerd in a private machine: `WHERRY_TEST_ENGINE=dockerd` runs the parity tests on it.

A parity test that fails on the original is wrong about Docker, not about Wherry. What a newer
Docker or Wherry does better than this one is marked `stock_differs` and left out then.
"""

import io
import os
import tarfile

from support.daemon import BUSYBOX, Engine


class StockEngine(Engine):
    """The original, of the API's version 1.41."""

    program = ("dockerd",)
    api_prefix = "/v1.41"

    def bootstrap(self, reference: str = "busybox") -> None:
        """Import an image of the static busybox with its applets."""
        assert reference == "busybox"
        archive = io.BytesIO()
        applets = os.popen("busybox --list-full").read().split()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("bin", "sbin", "usr", "usr/bin", "usr/sbin", "etc", "tmp", "root"):
                made = tarfile.TarInfo(name)
                made.type, made.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(made)
            tar.add("/bin/busybox", "bin/busybox")
            for applet in applets:
                if applet != "bin/busybox":
                    link = tarfile.TarInfo(applet)
                    link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
                    tar.addfile(link)
            for name, text in (
                (
                    "etc/passwd",
                    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                ),
                ("etc/group", "root:x:0:\nnobody:x:65534:\n"),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        target = "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=CMD%20%5B%22sh%22%5D"
        answer = self.api("POST", target, archive.getvalue())
        assert answer.status == 200, answer.body
        assert self.api("GET", f"/images/{BUSYBOX}/json").status == 200
