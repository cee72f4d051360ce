"""`play`: the pods of a Kubernetes manifest, on this one host."""

import sys

from wherry.cli.command import ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.pods.verbs import pods_of
from wherry.cli.session import Session
from wherry.pods import Manifest, ManifestError, PodError, read_manifest


def run(session: Session, parsed: Parsed) -> int:
    """Make, or take down, what a file says; print the names of its pods."""
    try:
        manifest = _read(session, parsed.arguments[0])
        if parsed.is_on("down"):
            _take_down(session, manifest)
        else:
            _play(session, parsed, manifest)
    except (ManifestError, PodError) as problem:
        raise CommandFailed(str(problem)) from None
    return 0


def _play(session: Session, parsed: Parsed, manifest: Manifest) -> None:
    pods = pods_of(session)
    existing = pods.list()
    for pod in manifest.pods:
        name = pod.metadata.name
        if parsed.is_on("replace") and name in existing:
            pods.remove(name, is_forced=True)
        pods.play(pod, manifest, parsed.text("network", "bridge"))
        session.say(name)


def _take_down(session: Session, manifest: Manifest) -> None:
    """What is not there any more is no failure: down is down."""
    pods = pods_of(session)
    existing = pods.list()
    for pod in manifest.pods:
        if pod.metadata.name in existing:
            pods.remove(pod.metadata.name, is_forced=True)
            session.say(pod.metadata.name)


def _read(session: Session, path: str) -> Manifest:
    if path == "-":
        return read_manifest(sys.stdin.buffer.read(), "-", session.complain)
    try:
        with open(path, "rb") as file:
            return read_manifest(file.read(), path, session.complain)
    except OSError as problem:
        raise CommandFailed(f"{path}: {problem.strerror}") from None


PLAY = Command(
    shape="FILE|-",
    summary="Make the pods of a Kubernetes manifest (Pod, Deployment, ConfigMap, Secret)",
    arguments=ONE,
    run=run,
    flags=(
        Flag("down", SWITCH, "Take them down, with their volumes"),
        Flag("network", STRING, "The network that the pods are on"),
        Flag("replace", SWITCH, "Take down first what is there under the same names"),
    ),
)
