"""`compose down`: everything that `up` made goes away."""

from wherry.cli.command import ANY
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import is_set, named_project, part_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.compose import DownWishes, observe, plan_down, recalled


def run(session: Session, parsed: Parsed) -> int:
    """Stop and remove containers and networks; volumes and images if that is asked."""
    images = parsed.text("rmi")
    if images not in ("", "all", "local"):
        raise CommandFailed(f'invalid value for --rmi: "{images}"')
    named = named_project(session, parsed)
    if named.project is None:
        seen = observe(session.client, named.name, ())
        made = recalled(named.name, seen)
    else:
        made = part_of(named.project, parsed, has_all=True)
        for service in parsed.arguments:
            if service not in made.services:
                raise CommandFailed(f"no such service: {service}")
    if images or named.project is not None:
        seen = observe(session.client, named.name, made.images() if images else ())
    wishes = DownWishes(
        targets=parsed.arguments,
        removes_orphans=parsed.is_on(
            "remove-orphans", is_set(made.environment, "COMPOSE_REMOVE_ORPHANS")
        ),
        removes_volumes=parsed.is_on("volumes"),
        images=images,
        timeout_s=parsed.number("timeout") if parsed.was_given("timeout") else None,
    )
    plan = plan_down(made, seen, wishes)
    if not plan.steps:
        session.complain(f'Warning: No resource found to remove for project "{named.name}".')
        return 0
    carry_out(session, parsed, plan, made, seen)
    return 0


DOWN = ComposeCommand(
    "[SERVICES]",
    "Stop and remove containers, networks",
    ANY,
    run,
    (
        Flag("remove-orphans", SWITCH, "Remove containers of services that the files don't have"),
        Flag("rmi", STRING, 'Remove images too ("local": those without a name, "all")'),
        Flag("timeout", INT, "Seconds until a container that is stopped is killed", short="t"),
        Flag("volumes", SWITCH, "Remove the project's volumes, and anonymous ones", short="v"),
    ),
)
