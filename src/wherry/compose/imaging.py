"""Which images are to be pulled or built before anything can be made of them.

pull_policy   image is there      image is missing, no `build`   image is missing, `build`
(none)        use it              pull                           build
missing       use it              pull                           pull, or else build
always        pull                pull                           pull, or else build
never         use it              leave it; the engine refuses   leave it
build         build               (needs `build`)                build
every_DUR     pull if older       pull                           pull, or else build
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from wherry.client.documents import Document, child, text, texts
from wherry.compose.application import Application
from wherry.compose.durations import parse_duration
from wherry.compose.errors import ComposeError
from wherry.compose.observing import SeenImage
from wherry.compose.steps import BuildImage, Plan, PullImage, PushImage
from wherry.kit.values import dataclass

_REFRESHES = {"daily": "24h", "weekly": "168h"}
_POLICIES = ("", "missing", "if_not_present", "always", "never", "build", "refresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWishes:
    """What the command line says about images."""

    policy: str = ""
    """Instead of every service's own; empty: as the files say."""
    builds_all: bool = False
    builds_none: bool = False
    now_s: float = 0.0
    """The time, for images that are to be refreshed."""


def plan_images(made: Application, present: Mapping[str, SeenImage], wishes: ImageWishes) -> Plan:
    """The pulls and builds before `up`; `present` are the images that the engine has.

    Raises: ComposeError.
    """
    plan = Plan()
    pulled: set[str] = set()
    built = {name for name, each in made.services.items() if "build" in each}
    for service in [*build_order(made), *(x for x in made.services if x not in built)]:
        wanted, reference = made.services[service], made.image_of(service)
        is_present, can_build = reference in present, "build" in wanted
        policy, oldest_s = _policy(service, wishes.policy or text(wanted, "pull_policy"))
        if policy == "build" and not can_build:
            raise ComposeError(f'service "{service}" has no build section to build it of')
        if policy == "refresh":
            is_old = is_present and wishes.now_s - present[reference].tagged_at_s > oldest_s
            policy = "always" if is_old or not is_present else "never"
        is_pulled = bool(text(wanted, "image")) and (
            policy == "always"
            or (not is_present and policy == "missing")
            or (not is_present and policy == "" and not can_build)
        )
        pull: list[str] = []
        if is_pulled and reference not in pulled:
            pulled.add(reference)
            pull = [_pull(plan, made, service, may_fail=can_build)]
        is_built = can_build and not wishes.builds_none
        if is_built and (
            wishes.builds_all or policy == "build" or (not is_present and policy != "never")
        ):
            only_if_missing = bool(pull) and not wishes.builds_all
            before = [*pull, *_sources(made, service)]
            _build(plan, service, reference, before, only_if_missing=only_if_missing)
    return plan


def _policy(service: str, told: str) -> tuple[str, float]:
    """The policy, and for `refresh` the age in seconds from which on an image is too old."""
    span = _REFRESHES.get(told) or told.removeprefix("every_")
    if told in _REFRESHES or told.startswith("every_"):
        return "refresh", parse_duration(span) / 1e9
    if told not in _POLICIES:
        raise ComposeError(f'services.{service}.pull_policy: unknown value "{told}"')
    return ("missing" if told == "if_not_present" else told), 0.0


def plan_pull(
    made: Application,
    present: Collection[str],
    policy: str = "",
    *,
    skips_built: bool = False,
    may_fail: bool = False,
) -> Plan:
    """The pulls of `compose pull`: each image once."""
    plan = Plan()
    pulled: set[str] = set()
    for service, wanted in made.services.items():
        reference, can_build = made.image_of(service), "build" in wanted
        own = policy or text(wanted, "pull_policy")
        is_needed = own not in ("never", "build") and (
            own != "missing" or reference not in present
        )
        is_left_out = reference in pulled or (can_build and skips_built)
        if text(wanted, "image") and is_needed and not is_left_out:
            pulled.add(reference)
            _pull(plan, made, service, may_fail=can_build or may_fail)
    return plan


def plan_push(made: Application, *, may_fail: bool = False) -> Plan:
    """The pushes of `compose push`: the images that are built here, by all their names."""
    plan = Plan()
    for service, wanted in made.services.items():
        if "build" not in wanted or not text(wanted, "image"):
            continue
        for reference in (made.image_of(service), *texts(child(wanted, "build"), "tags")):
            action = PushImage(
                subjects=(f"{service}" if reference == made.image_of(service) else reference,),
                doing="Pushing", done="Pushed", service=service, reference=reference,
                may_fail=may_fail,
            )  # fmt: skip
            plan.add(f"push {reference}", action, "it is built here")
    return plan


def plan_build(made: Application) -> Plan:
    """The builds of `compose build`, each after those that it takes files of."""
    plan = Plan()
    for service in build_order(made):
        _build(plan, service, made.image_of(service), _sources(made, service))
    return plan


def build_order(made: Application) -> list[str]:
    """The services that are built, those first whose images are contexts of others."""
    result: list[str] = []

    def add(service: str, above: tuple[str, ...] = ()) -> None:
        if service in above:
            raise ComposeError(f"dependency cycle detected: {' -> '.join((*above, service))}")
        for key in _sources(made, service):
            add(key.removeprefix("build "), (*above, service))
        if service not in result:
            result.append(service)

    for service, wanted in made.services.items():
        if "build" in wanted:
            add(service)
    return result


def with_sources(services: Mapping[str, Document], targets: Sequence[str]) -> list[str]:
    """The targets, and the services whose images their builds take files of."""
    wanted = list(targets)
    for name in wanted:  # It grows meanwhile.
        wanted += [each for each in _kin(services.get(name, {})) if each not in wanted]
    return wanted


def _sources(made: Application, service: str) -> list[str]:
    """The builds whose images are named contexts of a service's build."""
    names = _kin(made.services[service])
    return [f"build {name}" for name in names if "build" in made.services.get(name, {})]


def _kin(service: Document) -> list[str]:
    places = map(str, child(child(service, "build"), "additional_contexts").values())
    return [each.removeprefix("service:") for each in places if each.startswith("service:")]


def _pull(plan: Plan, made: Application, service: str, *, may_fail: bool) -> str:
    action = PullImage(
        subjects=(service,),
        doing="Pulling",
        done="Pulled",
        service=service,
        reference=made.image_of(service),
        platform=text(made.services[service], "platform")
        or made.environment.get("DOCKER_DEFAULT_PLATFORM", ""),
        may_fail=may_fail,
    )
    return plan.add(f"pull {service}", action, "its image isn't there, or is to be fresh")


def _build(
    plan: Plan,
    service: str,
    reference: str,
    after: Iterable[str] = (),
    *,
    only_if_missing: bool = False,
) -> None:
    action = BuildImage(
        subjects=(service,), doing="Building", done="Built", service=service, reference=reference,
        only_if_missing=only_if_missing,
    )  # fmt: skip
    plan.add(f"build {service}", action, "its image is made here", after)
