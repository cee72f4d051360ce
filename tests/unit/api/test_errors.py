"""Every failure has a status and a sentence."""

import dataclasses
import importlib
import pkgutil

import pytest

from wherry.api.errors import RULES, Refusal, message_of, status_of, worded
from wherry.api.errors.containers import running
from wherry.api.errors.execs import exec_refused
from wherry.model import errors
from wherry.model.errors import FeatureMissing, InvalidValue, WherryError
from wherry.model.errors.containers import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerNameTaken,
    ContainerNotFound,
    ContainerNotRunning,
    ContainerPaused,
    ExecNotFound,
    UserNotFound,
)
from wherry.model.errors.images import ImageInUse, ImageNotFound
from wherry.model.errors.networks import (
    AddressesExhausted,
    NetworkingFailed,
    NetworkNotFound,
    PortInUse,
    SubnetsExhausted,
)
from wherry.model.errors.volumes import BindSourceMissing

CONTAINER = "c" * 64


def all_kinds() -> list[type[WherryError]]:
    """Everything that `model.errors` defines, whichever noun's it is."""
    names = (each.name for each in pkgutil.iter_modules(errors.__path__, f"{errors.__name__}."))
    modules = (errors, *map(importlib.import_module, names))
    classes = (each for module in modules for each in vars(module).values())
    found = {each for each in classes if isinstance(each, type) and issubclass(each, WherryError)}
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_rule_of_its_own(kind: type[WherryError]) -> None:
    """A new kind of failure without a text is noticed here."""
    assert kind in RULES


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.__name__)
def test_every_rule_makes_a_sentence_of_the_fields(kind: type[WherryError]) -> None:
    """The text function fits the kind's fields."""
    samples: dict[object, object] = {bool: True, "bool": True, int: 80, "int": 80}
    values = {each.name: samples.get(each.type, "thing") for each in dataclasses.fields(kind)}
    error = kind(**values)
    assert message_of(error)
    assert 400 <= status_of(error) < 600


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ContainerNotFound("x"), 404, "No such container: x"),
        (ImageNotFound("x:latest"), 404, "No such image: x:latest"),
        (NetworkNotFound("x"), 404, "network x not found"),
        (ExecNotFound("x"), 404, "No such exec instance: x"),
        (ContainerNotRunning(CONTAINER), 409, f"container {CONTAINER} is not running"),
        (
            ContainerNameTaken("x", CONTAINER),
            409,
            f'Conflict. The container name "/x" is already in use by container "{CONTAINER}". You '
            "have to remove (or rename) that container to be able to reuse that name.",
        ),
        (InvalidValue("no command specified"), 400, "no command specified"),
        (
            BindSourceMissing("/nope"),
            400,
            'invalid mount config for type "bind": bind source path does not exist: /nope',
        ),
        (UserNotFound("x", False), 400,
         "unable to find user x: no matching entries in passwd file"),
        (NetworkingFailed(NetworkNotFound("x")), 404,
         "failed to set up container networking: network x not found"),
        (AddressesExhausted("user", "d" * 64, 6), 503,
         f"no available IPv6 addresses on this network's address pools: user ({'d' * 64})"),
        (SubnetsExhausted(), 400, "all predefined address pools have been fully subnetted"),
        (PortInUse("web (ID)", "::", 80, "[fd00::2]:80/tcp", "process x (pid 1)", False),
         409,
         "driver failed programming external connectivity on endpoint web (ID): failed to bind "
         "host port for [::]:80:[fd00::2]:80/tcp: address already in use by process x (pid 1)"),
        (PortInUse("web (ID)", "0.0.0.0", 0, "10.0.0.2:80/tcp", "many", False), 409,
         "driver failed programming external connectivity on endpoint web (ID): all ports are "
         "allocated by many"),
        (FeatureMissing("flying"), 501, "Wherry does not have this yet: flying"),
        (
            ImageInUse("busybox", CONTAINER, False, "sha256:" + "d" * 64),
            409,
            'conflict: unable to remove repository reference "busybox" (must force) - '
            "container cccccccccccc is using its referenced image dddddddddddd",
        ),
    ],
)  # fmt: skip
def test_docker_words(error: WherryError, status: int, message: str) -> None:
    """The sentences that clients know."""
    assert (status_of(error), message_of(error)) == (status, message)


def test_a_missing_program_has_the_words_for_exit_code_127() -> None:
    """The stock CLI finds its exit code in the text."""
    bare = message_of(CommandNotFound("nope", in_search_path=True))
    assert 'exec: "nope": executable file not found in $PATH: unknown' in bare
    path = message_of(CommandNotFound("/nope", in_search_path=False))
    assert 'exec: "/nope": stat /nope: no such file or directory: unknown' in path


def test_a_program_that_cannot_run_has_the_words_for_exit_code_126() -> None:
    """As above."""
    error = CommandNotExecutable("/etc", "permission denied")
    assert 'exec: "/etc": permission denied: unknown' in message_of(error)
    assert exec_refused(error) == (
        "OCI runtime exec failed: exec failed: unable to start container process: "
        'exec: "/etc": permission denied: unknown'
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("running", "is running: stop the container before removing or force remove"),
        ("paused", "is paused and must be unpaused first"),
    ],
)
def test_why_a_container_cannot_be_removed(state: str, reason: str) -> None:
    """Docker's two sentences."""
    assert running("/web", state) == f'cannot remove container "/web": container {reason}'


def test_a_route_may_reword_a_kind() -> None:
    """The status stays, the sentence is the verb's."""
    with (
        pytest.raises(Refusal) as refusal,
        worded({ContainerPaused: lambda e: f"{e.container} sleeps"}),
    ):
        raise ContainerPaused("x")
    assert (refusal.value.status, refusal.value.message) == (409, "x sleeps")


def test_other_kinds_pass_a_rewording() -> None:
    """Only what is named is reworded."""
    with pytest.raises(ContainerNotFound), worded({ContainerPaused: str}):
        raise ContainerNotFound("x")
