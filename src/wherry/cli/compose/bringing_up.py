"""What `up`, attached or not, `create` and their like do before there is a plan."""

from wherry.cli.compose.images import make_images_present
from wherry.cli.compose.selection import is_set
from wherry.cli.compose.telling import asker
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.compose import (
    Application,
    Observed,
    Recreate,
    UpWishes,
    diverged_volumes,
    observe,
)


def see_with_images(session: Session, parsed: Parsed, made: Application) -> Observed:
    """What the engine has, once it has the images. Raises: CommandFailed, ComposeError."""
    make_images_present(session, parsed, made)
    return observe(session.client, made.name, made.images())


def wishes_for(
    session: Session, parsed: Parsed, made: Application, seen: Observed, *, starts: bool = True
) -> UpWishes:
    """What the flags say about the plan; asks before data would be lost."""
    rule = Recreate.DIVERGED
    if parsed.is_on("force-recreate"):
        rule = Recreate.ALWAYS
    elif parsed.is_on("no-recreate"):
        rule = Recreate.NEVER
    dependencies = Recreate.NEVER if rule is Recreate.NEVER else Recreate.DIVERGED
    if parsed.is_on("always-recreate-deps"):
        dependencies = Recreate.ALWAYS
    ask = asker(session, assumes_yes=parsed.is_on("yes"))
    replaced = {
        key
        for key, name in diverged_volumes(made, seen).items()
        if not parsed.is_on("dry-run")
        and ask(
            f'Volume "{name}" exists but doesn\'t match configuration in compose file. '
            "Recreate (data will be lost)?"
        )
    }
    return UpWishes(
        targets=parsed.arguments,
        recreate=rule,
        recreate_dependencies=dependencies,
        keeps_volumes=not parsed.is_on("renew-anon-volumes"),
        removes_orphans=parsed.is_on(
            "remove-orphans", is_set(made.environment, "COMPOSE_REMOVE_ORPHANS")
        ),
        ignores_orphans=is_set(made.environment, "COMPOSE_IGNORE_ORPHANS"),
        replaced_volumes=frozenset(replaced),
        timeout_s=parsed.number("timeout") if parsed.was_given("timeout") else None,
        starts=starts,
        waits=parsed.is_on("wait"),
    )
