"""The images of a project's services: there, pulled, or built, as their policies say."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wherry.cli.builds.story.modes import is_classic
from wherry.cli.compose.selection import warner
from wherry.cli.compose.telling import (
    is_drawn,
    is_quiet_build,
    problem_text,
    progress_form,
    telling,
)
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.images.references import DEFAULT_TAG, parse_reference
from wherry.cli.images.registry_access import login_for
from wherry.cli.session import Session
from wherry.client.documents import Document, child, number, text
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError, ClientError
from wherry.compose import (
    Action,
    Application,
    BuildImage,
    Clients,
    ComposeError,
    ImageWishes,
    Plan,
    PullImage,
    PushImage,
    Report,
    Skipped,
    Told,
    execute,
    plan_images,
    present_images,
)
from wherry.kit.byte_sizes import human_size_short

if TYPE_CHECKING:
    from wherry.cli.builds.story.watching import Watching


def make_images_present(session: Session, parsed: Parsed, made: Application) -> None:
    """Pull and build what `up` needs. Raises: ComposeError, CommandFailed, ClientError."""
    policy = parsed.text("pull")
    if policy not in ("", "policy", "always", "missing", "never", "build"):
        raise CommandFailed(f'invalid --pull option "{policy}"')
    wishes = ImageWishes(
        policy="" if policy == "policy" else policy,
        builds_all=parsed.is_on("build"),
        builds_none=parsed.is_on("no-build"),
        now_s=time.time(),
    )
    present = present_images(session.client, made.images())
    carry_out_images(session, parsed, plan_images(made, present, wishes), made)


def carry_out_images(session: Session, parsed: Parsed, plan: Plan, made: Application) -> None:
    """Perform a plan of pulls and builds. Raises: ComposeError, ClientError."""
    if not plan.steps:
        return
    is_shown = is_drawn(session, parsed) and not parsed.is_on("quiet-pull")
    with _telling(session, parsed, plan) as (report, watching):
        performer = ImagePerformer(session, parsed, made, report if is_shown else None, watching)
        execute(plan, performer.perform, report, is_dry=parsed.is_on("dry-run"))


@contextmanager
def _telling(
    session: Session, parsed: Parsed, plan: Plan
) -> Iterator[tuple[Report, "Watching | None"]]:
    """Tells of pulls, and of builds as BuildKit's clients do, in one picture where it is drawn."""
    if not plan.keys("build ") or is_classic() or parsed.is_on("dry-run"):
        with telling(session, parsed, "Pulling") as report:
            yield report, None
        return
    from wherry.cli.builds.story.watching import Watching

    form = progress_form(session, parsed)
    mode = "quiet" if is_quiet_build(parsed) else "rawjson" if form == "json" else form
    watching = Watching(mode, session.err, is_debugging=session.is_debugging)
    with watching.shown():
        if mode == "tty":
            yield partial(_noted, watching), watching
            return
        with telling(session, parsed) as report:
            yield report, watching


def _noted(watching: "Watching", told: Told) -> None:
    problem = problem_text(told.problem) if told.problem else ""
    watching.note(told.subject, told.word, is_over=told.is_over, problem=problem)


class ImagePerformer:
    """Pulls and builds, many at a time."""

    def __init__(
        self,
        session: Session,
        parsed: Parsed,
        made: Application,
        report: Report | None,
        watching: "Watching | None",
    ) -> None:
        """`report` is told how far each transfer has got; None: nobody wants to know."""
        self._report = report
        self._watching = watching
        self._session = session
        self._parsed = parsed
        self._made = made
        self._clients = Clients(session.client)

    def perform(self, action: Action) -> None:
        """Do it. Raises: ComposeError, Skipped, and as `Transport.request`."""
        with self._clients.one() as client:
            if isinstance(action, PullImage | PushImage):
                self._transfer(client, action)
            elif isinstance(action, BuildImage):
                self._build(client, action)
            else:
                raise TypeError(f"{type(action).__name__} is not about images")

    def _transfer(self, client: Client, action: PullImage | PushImage) -> None:
        try:
            reference = parse_reference(action.reference)
        except ValueError as problem:
            raise ComposeError(f"services.{action.service}.image: {problem}") from None
        tag = reference.digest or reference.tag or DEFAULT_TAG
        login = login_for(self._session, reference.domain)
        name = reference.familiar_name
        try:
            if isinstance(action, PullImage):
                messages = client.images.pull(name, tag, platform=action.platform, login=login)
            else:
                messages = client.images.push(name, tag, login=login)
            counted = _Counted(action, self._report)
            for message in messages:
                told = child(message, "errorDetail")
                if refusal := text(told, "message") or text(message, "error"):
                    raise ComposeError(refusal)
                counted.take(message)
        except (ComposeError, ClientError) as problem:
            if not action.may_fail:
                raise
            warner(self._session)(f"{action.service}: {problem_text(problem)}")
            raise Skipped("Warning") from None

    def _build(self, client: Client, action: BuildImage) -> None:
        if action.only_if_missing and _is_present(client, action.reference):
            raise Skipped("Pulled")
        from wherry.cli.compose.building import build_service

        build_service(self._session, self._parsed, client, self._made, action, self._watching)


class _Counted:
    """How many bytes of how many a transfer has done, over all layers."""

    def __init__(self, action: PullImage | PushImage, report: Report | None) -> None:
        self._action = action
        self._report = report
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, message: Document) -> None:
        """Count a message of the engine's, and tell the sum."""
        detail = child(message, "progressDetail")
        if self._report is None or not number(detail, "total"):
            return
        self._layers[text(message, "id")] = (number(detail, "current"), number(detail, "total"))
        done = sum(each[0] for each in self._layers.values())
        total = sum(each[1] for each in self._layers.values())
        shown = f"{self._action.doing} {human_size_short(done)}/{human_size_short(total)}"
        for subject in self._action.subjects:
            self._report(Told(subject, shown, is_over=False))


def _is_present(client: Client, reference: str) -> bool:
    try:
        client.images.inspect(reference)
    except ApiError:
        return False
    return True
