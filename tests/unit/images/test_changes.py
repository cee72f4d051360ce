"""The instructions of `import --change`."""

import pytest

from wherry.images.changes import apply_changes
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.oci.image_spec import ExecutionDefaults


def changed(*changes: str) -> ExecutionDefaults:
    """What an image says after these instructions."""
    return apply_changes(ExecutionDefaults(), changes)


def test_every_instruction() -> None:
    """Each one sets its own field."""
    assert changed(
        'CMD ["a", "b c"]',
        "entrypoint /run.sh $X",
        "ENV A=1 B='2 3'",
        "ENV A 4",
        "EXPOSE 80 53/udp",
        'LABEL one=1 two="t w o"',
        "USER 1000:1000",
        'VOLUME ["/data"]',
        "WORKDIR /srv",
        "WORKDIR app",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN true",
    ) == ExecutionDefaults(
        cmd=("a", "b c"),
        entrypoint=("/bin/sh", "-c", "/run.sh $X"),
        env=("A=4", "B=2 3"),
        exposed_ports=("53/udp", "80/tcp"),
        labels={"one": "1", "two": "t w o"},
        user="1000:1000",
        volumes=("/data",),
        working_dir="/srv/app",
        stop_signal="SIGINT",
        on_build=("RUN true",),
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("RUN true", "run is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("EXPOSE http", "EXPOSE: 'http' is not a port"),
        ("EXPOSE 70000", "EXPOSE: '70000' is not a port"),
        ("LABEL a b", "LABEL: 'a' has no value"),
        ("ENV A", "ENV: 'A' has no value"),
        ("ENV A=1 B", "ENV: 'B' is not NAME=VALUE"),
        ("ENV A='1", "ENV: No closing quotation"),
    ],
)
def test_wrong_ones_are_refused(change: str, sentence: str) -> None:
    """The sentence names the instruction and what is wrong with it."""
    with pytest.raises(InvalidValue) as caught:
        changed(change)
    assert caught.value.sentence == sentence


def test_what_is_not_built_is_said() -> None:
    """An instruction of Docker's that isn't there is not ignored."""
    with pytest.raises(FeatureMissing):
        changed("HEALTHCHECK NONE")
