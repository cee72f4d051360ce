"""Git repositories as sources: cloned by the host's git, which is told to run nothing else.

A reference is given to git as an argument that can't be an option (CVE-2019-13139), protocols are
those that the URL may have, no hook runs and nobody is asked for a password. A directory of the
repository is looked for as if the repository were all there is, so that a link leads nowhere else
(CVE-2026-33748).
"""

import asyncio
import os
import re

from wherry.kit.urls import without_credentials
from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue

_BY_SCHEME = re.compile(r"(?:git|ssh)://|git@[A-Za-z0-9.-]+:")
_BY_ENDING = re.compile(r"https?://[^#]+\.git(?:#|$)")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+^~-]*")
_PLACE = re.compile(r"(?:https?|git|ssh)://[^\s-][^\s]*|git@[A-Za-z0-9.-]+:[^\s-][^\s]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_ANSWER = 2000
_SETTINGS = (
    "protocol.allow=never", "protocol.http.allow=always", "protocol.https.allow=always",
    "protocol.git.allow=always", "protocol.ssh.allow=always",
    "core.hooksPath=/dev/null", "core.symlinks=true", "credential.helper=", "gc.auto=0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GitPlace:
    """A repository, a reference in it, and a directory of that."""

    url: str
    reference: str = ""
    """Empty: what the remote's HEAD is."""
    directory: str = ""


def git_place(text: str) -> GitPlace | None:
    """Read a URL as Docker does; None for one that is no repository's. Raises: InvalidValue."""
    if text.startswith("github.com/"):
        text = f"https://{text}"
    elif not (_BY_SCHEME.match(text) or _BY_ENDING.match(text)):
        return None
    url, _mark, fragment = text.partition("#")
    reference, _colon, directory = fragment.partition(":")
    if not _PLACE.fullmatch(url):
        raise InvalidValue(f"invalid Git URL: {without_credentials(url)!r}")
    if reference and not _REFERENCE.fullmatch(reference):
        raise InvalidValue(f"invalid Git reference: {reference!r}")
    return GitPlace(url, reference, directory)


async def clone(place: GitPlace, target: str) -> str:
    """Check a repository out into an empty directory; the commit. Raises: InvalidValue."""
    await _git(target, "init", "--quiet")
    wanted, found = place.reference or "HEAD", "FETCH_HEAD"
    try:
        await _git(target, "fetch", "--quiet", "--depth=1", "--", place.url, wanted)
    except InvalidValue:
        # Some servers give no single commit, and some no shallow history at all.
        everything = ("HEAD", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        await _git(target, "fetch", "--quiet", "--", place.url, *everything)
        if place.reference:
            found = await _found(target, place.reference)
    await _git(target, "checkout", "--quiet", "--force", "--detach", found)
    if ".gitmodules" in os.listdir(target):
        await _git(target, "submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
    return await _git(target, "rev-parse", "HEAD")


async def _found(target: str, reference: str) -> str:
    """The commit of a branch, a tag, or a commit. Raises: InvalidValue."""
    names = [f"refs/remotes/origin/{reference}", f"refs/tags/{reference}"]
    names += [reference] if _COMMIT.fullmatch(reference) else []
    for name in names:
        try:
            return await _git(target, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except InvalidValue:
            continue
    raise InvalidValue(f"repository does not contain ref {reference}")


async def _git(target: str, *words: str) -> str:
    """Run git in a directory; what it prints. Raises: InvalidValue with its complaint."""
    settings = [word for each in _SETTINGS for word in ("-c", each)]
    running = await asyncio.create_subprocess_exec(
        "git", *settings, *words,
        cwd=target,
        env={
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": target,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            # For its log of references; without it git would ask DNS for this host's name.
            "GIT_COMMITTER_NAME": "builder",
            "GIT_COMMITTER_EMAIL": "builder@localhost",
            "GIT_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "LC_ALL": "C",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, complaint = await running.communicate()
    except asyncio.CancelledError:
        running.kill()
        await running.wait()
        raise
    if running.returncode:
        text = complaint.decode(errors="replace").strip()[-_LONGEST_ANSWER:]
        raise InvalidValue(f"git {words[0]} failed: {without_credentials(text)}")
    return out.decode(errors="replace").strip()
