"""`compose pull`, `push` and `build`: the images of services, to, from and without registries."""

from wherry.cli.command import ANY
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.images import carry_out_images
from wherry.cli.compose.selection import application_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import BYTES, LIST, STRING, SWITCH, Flag, Parsed, absent_flag
from wherry.cli.session import Session
from wherry.compose import (
    plan_build,
    plan_pull,
    plan_push,
    present_images,
)


def pull(session: Session, parsed: Parsed) -> int:
    """Fetch the images of services."""
    policy = parsed.text("policy")
    if policy not in ("", "missing", "always"):
        raise CommandFailed(f'invalid value for --policy: "{policy}"')
    made = application_of(
        session, parsed, parsed.arguments, with_dependencies=parsed.is_on("include-deps")
    )
    present = present_images(session.client, made.images())
    plan = plan_pull(
        made,
        present,
        policy,
        skips_built=parsed.is_on("ignore-buildable"),
        may_fail=parsed.is_on("ignore-pull-failures"),
    )
    carry_out_images(session, parsed, plan, made)
    return 0


def push(session: Session, parsed: Parsed) -> int:
    """Send the images of services that have a `build`."""
    made = application_of(
        session, parsed, parsed.arguments, with_dependencies=parsed.is_on("include-deps")
    )
    plan = plan_push(made, may_fail=parsed.is_on("ignore-push-failures"))
    carry_out_images(session, parsed, plan, made)
    return 0


def build(session: Session, parsed: Parsed) -> int:
    """Build the images of services."""
    made = application_of(
        session, parsed, parsed.arguments, with_dependencies=parsed.is_on("with-dependencies")
    )
    plan = plan_build(made)
    carry_out_images(session, parsed, plan, made)
    if parsed.is_on("push"):
        carry_out_images(session, parsed, plan_push(made), made)
    return 0


PULL = ComposeCommand(
    "[SERVICE...]",
    "Pull service images",
    ANY,
    pull,
    (
        Flag("ignore-buildable", SWITCH, "Leave out images that can be built"),
        Flag("ignore-pull-failures", SWITCH, "Pull what can be pulled"),
        Flag("include-deps", SWITCH, "Pull what the services depend on too"),
        Flag("policy", STRING, 'Instead of the files\' policy ("missing"|"always")'),
        Flag("quiet", SWITCH, "No progress", short="q"),
    ),
)
PUSH = ComposeCommand(
    "[SERVICE...]",
    "Push service images",
    ANY,
    push,
    (
        Flag("ignore-push-failures", SWITCH, "Push what can be pushed"),
        Flag("include-deps", SWITCH, "Push what the services depend on too"),
        Flag("quiet", SWITCH, "No progress", short="q"),
    ),
)
BUILD = ComposeCommand(
    "[SERVICE...]",
    "Build or rebuild services",
    ANY,
    build,
    (
        Flag("build-arg", LIST, "Set a build-time variable for services"),
        absent_flag("builder", "builders beside the engine's own", label="string"),
        absent_flag("check", "checks of a build's configuration"),
        Flag("memory", BYTES, "Memory limit of RUN", short="m"),
        Flag("no-cache", SWITCH, "Use no result of an earlier build"),
        absent_flag("print", "the equivalent bake file"),
        absent_flag("provenance", "attestations", label="string"),
        Flag("pull", SWITCH, "Always try to pull a newer version of the base"),
        Flag("push", SWITCH, "Push the images"),
        Flag("quiet", SWITCH, "No output", short="q"),
        absent_flag("sbom", "attestations", label="string"),
        absent_flag("ssh", "agents for RUN", label="string"),
        Flag("with-dependencies", SWITCH, "Build what the services depend on too"),
    ),
)
