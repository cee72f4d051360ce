"""`compose pull`, `push` and `build`: the images of services, to, from and without registries."""

from wherry.cli.command import ANY
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.images import carry_out_images
from wherry.cli.compose.selection import application_of, part_of, project_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import BYTES, LIST, STRING, SWITCH, Flag, Kind, Parsed
from wherry.cli.session import Session
from wherry.compose import (
    as_json,
    plan_build,
    plan_pull,
    plan_push,
    present_images,
    with_sources,
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
    project = project_of(session, parsed)
    targets = with_sources(project.all_services, parsed.arguments)
    made = part_of(project, parsed, targets, with_dependencies=parsed.is_on("with-dependencies"))
    if parsed.is_on("print"):
        from wherry.cli.compose.bake import bake_file

        if found := bake_file(made, parsed):
            session.say(as_json(found))
        return 0
    if parsed.is_on("check"):
        from wherry.cli.compose.checking import check_builds

        return check_builds(session, parsed, made)
    plan = plan_build(made)
    carry_out_images(session, parsed, plan, made)
    if parsed.is_on("push"):
        carry_out_images(session, parsed, plan_push(made), made)
    return 0


def _read_builder(text: str) -> str:
    if text not in ("", "default"):
        raise ValueError("the engine has one builder, and that is called default")
    return text


_BUILDER = Kind("string", _read_builder)
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
        Flag("builder", _BUILDER, "Who builds: the engine's own, default"),
        Flag("check", SWITCH, "Look at the Dockerfiles, and build nothing"),
        Flag("memory", BYTES, "Memory limit of RUN", short="m"),
        Flag("no-cache", SWITCH, "Use no result of an earlier build"),
        Flag("print", SWITCH, "Print the equivalent bake file, and build nothing"),
        Flag("provenance", STRING, "Say what the images were made of (true, or mode=max)"),
        Flag("pull", SWITCH, "Always try to pull a newer version of the base"),
        Flag("push", SWITCH, "Push the images"),
        Flag("quiet", SWITCH, "No output", short="q"),
        Flag("sbom", STRING, "Say what the images contain; needs a scanner"),
        Flag("ssh", STRING, "SSH keys for RUN, apart by commas (default, ID=SOCKET, ID=KEY)"),
        Flag("with-dependencies", SWITCH, "Build what the services depend on too"),
    ),
)
