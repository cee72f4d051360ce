"""What a Dockerfile takes and what it can make: BuildKit's `outline` and `targets`.

A description is the comment right before a stage or an argument that begins with its name.
"""

from collections.abc import Mapping, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.planning import PlannedStep, Step, is_boundary
from wherry.builder.solver import Vertex
from wherry.model.build_inquiries import (
    DescribedArgument,
    DescribedMount,
    DescribedTarget,
    Outline,
)


def described_targets(file: language.Dockerfile) -> tuple[DescribedTarget, ...]:
    """The stages that can be named."""
    comments = _comments(file)
    last = file.stages[-1].start
    return tuple(
        DescribedTarget(
            name=stage.start.name,
            is_default=stage.start is last,
            description=_description(stage.start.name, stage.start.line, comments),
            base=stage.start.base,
            platform=stage.start.platform,
            line=stage.start.line,
        )
        for stage in file.stages
    )


def wanted_stage(file: language.Dockerfile, target: str) -> language.From:
    """Where the stage begins that a build is of, which is there."""
    found = [
        stage.start
        for place, stage in enumerate(file.stages)
        if target.lower() in ("", stage.start.name, str(place))
    ]
    return found[-1]


def outlined(
    file: language.Dockerfile,
    vertices: Sequence[Vertex[PlannedStep]],
    target: language.From,
    given: Mapping[str, str | None],
) -> Outline:
    """What the steps that a target needs can be given, each once."""
    comments = _comments(file)
    arguments: dict[str, DescribedArgument] = {}
    secrets: dict[str, DescribedMount] = {}
    agents: dict[str, DescribedMount] = {}
    caches: dict[str, DescribedMount] = {}
    steps: list[language.Instruction] = [*file.arguments]
    for vertex in vertices:
        if isinstance(vertex.step, Step) and not is_boundary(vertex.step):
            steps.append(vertex.step.instruction)
    for step in steps:
        if isinstance(step, language.Arg):
            for name, default in step.pairs:
                value = given.get(name) or default or ""
                description = _description(name, step.line, comments)
                before = arguments.get(name)
                if before is None or (description and not before.description):
                    arguments[name] = DescribedArgument(
                        name=name,
                        value=value or (before.value if before else ""),
                        description=description,
                        line=step.line,
                    )
        elif isinstance(step, language.Run):
            for mount in step.mounts:
                kinds = {"secret": secrets, "ssh": agents, "cache": caches}
                if mount.kind in kinds:
                    found = _mount(mount, step.line)
                    kinds[mount.kind].setdefault(found.name, found)
    return Outline(
        name=target.name,
        description=_description(target.name, target.line, comments),
        arguments=tuple(arguments.values()),
        secrets=tuple(secrets.values()),
        agents=tuple(agents.values()),
        caches=tuple(caches.values()),
    )


def _mount(mount: language.RunMount, line: int) -> DescribedMount:
    options = mount.options
    name = options.get("id", "")
    if not name:
        target = options.get("target", "")
        name = {"ssh": "default", "secret": target.rpartition("/")[2]}.get(mount.kind, target)
    return DescribedMount(name=name, is_required=options.get("required") == "true", line=line)


def _comments(file: language.Dockerfile) -> Mapping[int, Sequence[str]]:
    """Those right before each line, by its number."""
    return {each.number: each.comments for each in file.lines if each.comments}


def _description(name: str, line: int, comments: Mapping[int, Sequence[str]]) -> str:
    """The comment before a line, if it begins with a name."""
    before = comments.get(line, ()) if name else ()
    first = next((each for each in before if each.split(" ", 1)[0] == name), "")
    return first.partition(" ")[2].strip()
