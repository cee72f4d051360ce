"""`compose build --check`: what is to be said of the services' Dockerfiles, and no build."""

from wherry.cli.builds.story.answers import Asked, show_answer
from wherry.cli.builds.story.watching import Watching
from wherry.cli.compose.building import build_service
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.compose import Application, BuildImage, plan_build

_WANTED = Asked("lint", "")


def check_builds(session: Session, parsed: Parsed, made: Application) -> int:
    """Look at one after the other; 1 when something is to be said of any.

    Raises: ComposeError, CommandFailed, ClientError.
    """
    code = 0
    for step in plan_build(made).steps:
        if isinstance(step.action, BuildImage):
            watching = Watching("quiet", session.err)
            build_service(
                session, parsed, session.client, made, step.action, watching,
                inquiry=_WANTED.inquiry,
            )  # fmt: skip
            lead, answer = f"{step.action.service}: ", watching.trace.answer
            code = max(code, show_answer(session, _WANTED, answer, lead=lead))
    return code
