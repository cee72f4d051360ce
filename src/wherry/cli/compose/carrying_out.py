"""From a plan to what the user sees of it: warnings, progress, and the first failure."""

from wherry.cli.compose.selection import warner
from wherry.cli.compose.telling import telling
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.compose import Application, Clients, Observed, Performer, Plan, execute


def carry_out(
    session: Session,
    parsed: Parsed,
    plan: Plan,
    made: Application,
    seen: Observed,
    *,
    patience_s: float | None = None,
) -> None:
    """Perform a plan, or show it if this is a dry run. Raises: ComposeError, ClientError."""
    warn = warner(session)
    for warning in plan.warnings:
        warn(warning)
    performer = Performer(Clients(session.client), made, seen, warn)
    at_most = parsed.number("parallel", -1)
    with telling(session, parsed) as report:
        execute(
            plan,
            performer.perform,
            report,
            is_dry=parsed.is_on("dry-run"),
            at_most=at_most if at_most > 0 else None,
            patience_s=patience_s,
        )
