"""The instructions of `import --change`."""

import pytest

from wherry.images.changes import apply_changes
from wherry.model.errors import InvalidValue
from wherry.oci.image_spec import ExecutionDefaults, Healthcheck


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
        ("EXPOSE http", "EXPOSE: invalid containerPort: http"),
        ("EXPOSE 70000", "EXPOSE: invalid containerPort: 70000"),
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


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("HEALTHCHECK NONE", Healthcheck(test=("NONE",))),
        ("HEALTHCHECK CMD true || exit 1", Healthcheck(test=("CMD-SHELL", "true || exit 1"))),
        (
            'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD ["a", "b c"]',
            Healthcheck(
                test=("CMD", "a", "b c"),
                interval=90_000_000_000,
                timeout=500_000_000,
                retries=2,
            ),
        ),
        (
            "HEALTHCHECK --start-period=5s --start-interval=1s CMD x",
            Healthcheck(
                test=("CMD-SHELL", "x"), start_period=5_000_000_000, start_interval=1_000_000_000
            ),
        ),
    ],
)
def test_health_checks(change: str, check: Healthcheck) -> None:
    """Both forms of the command, and each flag."""
    assert changed(change).healthcheck == check


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ("HEALTHCHECK SOMETIMES x", "unknown type 'SOMETIMES' in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --often=1s CMD x", "unknown flag: --often"),
        ("HEALTHCHECK --interval=x CMD x", 'time: invalid duration "x"'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries must be a number of at least 0 (not -1)"),
        ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ],
)
def test_health_checks_that_are_none(change: str, clause: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(InvalidValue) as caught:
        changed(change)
    assert clause in caught.value.sentence
