"""From a Dockerfile to the steps of one build: for each platform, and looked at by the checks."""

from collections.abc import Callable, Mapping, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.bases import Bases
from wherry.builder.checks import Checking
from wherry.builder.describing import described_targets, outlined, wanted_stage
from wherry.builder.planning import EPOCH, PROXIES, PlannedStep, Planner
from wherry.builder.solver import Vertex, needed
from wherry.builder.sources.ports import ContextFiles
from wherry.images import BuildState, platform_from
from wherry.kit.path_patterns import Ignore
from wherry.kit.values import dataclass
from wherry.model.build_inquiries import Inquiry
from wherry.model.builds import (
    BuildEvent,
    BuildRequest,
    BuildWarned,
    FileDescribed,
    StageSkipped,
)
from wherry.model.errors import FeatureMissing
from wherry.oci.image_spec import ImageDocument, Platform
from wherry.oci.platforms import formatted

_FRONTENDS = "BUILDKIT_"
"""What the names of arguments begin with that are meant for the builder itself."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is to be done."""

    targets: Mapping[str, Vertex[PlannedStep]]
    """The last step for each platform."""
    others: Mapping[str, Mapping[str, Vertex[PlannedStep]]]
    """The last steps of the stages that each of them needs, by name."""
    vertices: Sequence[Vertex[PlannedStep]]
    """All that were planned, in the order of the file."""

    @property
    def order(self) -> Sequence[Vertex[PlannedStep]]:
        """What the targets need, each behind what it needs itself."""
        wanted = set(needed(*self.targets.values()))
        return [each for each in self.vertices if each in wanted]


class BuildPlans:
    """Plans one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        contexts: Mapping[str, ContextFiles | str],
        bases: Bases,
        host: Platform,
        tell: Callable[[BuildEvent], None],
    ) -> None:
        self._request = request
        self._contexts = contexts
        self._bases = bases
        self._host = host
        self._tell = tell

    async def checked(self, file: language.Dockerfile, ignore: Ignore) -> BuildPlan:
        """The plan; what the checks find is told, and so is the answer to an inquiry.

        Raises: as `Planner.target`; InvalidValue, when something found is to be an error.
        """
        checking = Checking(file, self._request.arguments, self._tell)
        checking.look_at_text(platform_arguments(self._host, self._host))
        plan = await self._planned(file)
        checking.look_at_steps(plan.vertices, ignore)
        if self._request.inquiry is None:
            checking.end()
        else:
            self._describe(file, plan, self._request.inquiry)
        return plan

    def _describe(self, file: language.Dockerfile, plan: BuildPlan, inquiry: Inquiry) -> None:
        match inquiry:
            case Inquiry.TARGETS:
                self._tell(FileDescribed(targets=described_targets(file)))
            case Inquiry.OUTLINE:
                start = wanted_stage(file, self._request.target)
                outline = outlined(file, plan.vertices, start, self._request.arguments)
                self._tell(FileDescribed(outline=outline))
            case Inquiry.CHECK:
                pass

    async def _planned(self, file: language.Dockerfile) -> BuildPlan:
        texts = self._request.platforms
        platforms = [platform_from(each, self._host) for each in texts] or [self._host]
        targets, used, planned = {}, set[str](), list[Vertex[PlannedStep]]()
        others = {}
        skipped: dict[int, language.From] = {}
        for platform in platforms:
            if platform.os != "linux":
                raise FeatureMissing(f"building for the platform {formatted(platform)}")
            shown = formatted(platform) if len(platforms) > 1 else ""
            planner = self._planner(file, platform, shown)
            targets[formatted(platform)] = await planner.target(self._request.target)
            others[formatted(platform)] = planner.others
            used |= planner.used
            planned += planner.vertices
            skipped |= {each.line: each for each in planner.skipped}
        for start in skipped.values():
            self._tell(StageSkipped(name=start.name, line=start.line))
        self._tell_unused(used)
        return BuildPlan(targets, others, planned)

    def _tell_unused(self, used: set[str]) -> None:
        unused = sorted(
            name
            for name in self._request.arguments.keys() - used - PROXIES - {EPOCH}
            if not name.startswith(_FRONTENDS)
        )
        if unused:
            text = f"One or more build-args [{' '.join(unused)}] were not consumed"
            self._tell(BuildWarned(text=text))

    def _planner(self, file: language.Dockerfile, target: Platform, shown: str) -> Planner:
        async def find(reference: str, platform: str) -> BuildState | None:
            wanted = platform or formatted(target)
            if self._request.only_plans or self._request.inquiry is not None:
                return await self._bases.here(reference, wanted)
            return await self._bases.find(reference, wanted, shown)

        return Planner(
            file,
            arguments=self._request.arguments,
            platform_arguments={
                **platform_arguments(self._host, target),
                "TARGETSTAGE": self._request.target or "default",
            },
            labels=self._request.labels,
            find_image=find,
            scratch=_scratch(target),
            contexts=self._contexts,
            shown_platform=shown,
            uncached_stages=self._request.uncached_stages,
            entitlements=self._request.entitlements,
        )


def _scratch(platform: Platform) -> BuildState:
    return BuildState(
        ImageDocument(
            architecture=platform.architecture,
            variant=platform.variant,
            os=platform.os,
        )
    )


def platform_arguments(host: Platform, target: Platform) -> Mapping[str, str]:
    """BUILDPLATFORM, TARGETARCH and their kin, with their values."""
    values = {}
    for kind, platform in (("BUILD", host), ("TARGET", target)):
        values[f"{kind}PLATFORM"] = formatted(platform)
        values[f"{kind}OS"] = platform.os
        values[f"{kind}ARCH"] = platform.architecture
        values[f"{kind}VARIANT"] = platform.variant
    return values
