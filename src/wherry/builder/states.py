"""What is there after a step: an image that need not be recorded, and what its stage has set.

All of it is pure, so that a step that comes from the cache gives the same bytes again.
"""

import hashlib
from collections.abc import Mapping

from wherry.builder import dockerfile as language
from wherry.builder.configuring import DEFAULT_SHELL, absolute, configured, for_shell
from wherry.builder.planning import EPOCH, SCAN_CONTEXT, SCAN_STAGE, Step, is_boundary
from wherry.builder.telling import Told, history_entry
from wherry.images import BuildState, LayerBlob
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import dataclass, field, replace
from wherry.model.builds import BuildRequest
from wherry.model.errors.builds import DockerfileRefused
from wherry.oci.image_spec import ExecutionDefaults


@dataclass(frozen=True, slots=True)
class Built:
    """What is there after a step."""

    key: str
    state: BuildState
    arguments: Mapping[str, str] = field(default_factory=dict)
    """ARG of the stage, with their values."""
    platform: Mapping[str, str] = field(default_factory=dict)
    globals: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    base_id: str = ""
    """What the stage began with: the name, and the image that it led to."""
    layer_bytes: int = 0
    """Of what the step added."""
    declared: tuple[str, ...] = ()
    """ARG of the stage, by name, with or without a value."""
    has_command: bool = False
    """This Dockerfile has said CMD: an ENTRYPOINT behind it leaves it alone."""

    @property
    def run_environment(self) -> dict[str, str]:
        """ARG that a command sees and no ENV hides."""
        env = {each.partition("=")[0] for each in self.state.document.config.env}
        hidden = {*env, SCAN_STAGE, SCAN_CONTEXT}
        return {name: value for name, value in self.arguments.items() if name not in hidden}


class Words:
    """How the words of one Dockerfile are read."""

    def __init__(self, escape: str, request: BuildRequest) -> None:
        self._escape = escape
        self._given = request.arguments
        self.history = request.history
        self.carries_keys = request.arguments.get(EPOCH) is None
        """Images say by which keys steps are found, but for those that are alike everywhere."""

    def scope(self, parent: Built) -> language.Scope:
        """ENV wins over ARG."""
        env = dict(each.partition("=")[::2] for each in parent.state.document.config.env)
        return language.Scope({**parent.arguments, **env}, self._escape)

    def word(self, scope: language.Scope, text: str, line: int) -> str:
        """A word with its variables put in. Raises: DockerfileRefused."""
        try:
            return scope.word(text)
        except ValueError as error:
            raise DockerfileRefused(line, str(error)) from None

    def inline(self, document: language.Inline, scope: language.Scope, line: int) -> str:
        """The content of a here-document. Raises: DockerfileRefused."""
        if not document.expands:
            return document.content
        try:
            return scope.heredoc(document.content)
        except ValueError as error:
            raise DockerfileRefused(line, str(error)) from None

    def arguments(
        self, instruction: language.Instruction, parent: Built, scope: language.Scope
    ) -> Mapping[str, str]:
        """ARG of a stage after an instruction."""
        if not isinstance(instruction, language.Arg):
            return parent.arguments
        values = dict(parent.arguments)
        for name, default in instruction.pairs:
            given = self._given.get(name)
            if given is not None:
                values[name] = given
            elif default is not None:
                values[name] = self.word(scope, default, instruction.line)
            elif name in parent.globals:
                values[name] = parent.globals[name]
            elif name in parent.platform:
                values[name] = parent.platform[name]
        return values


def after(
    words: Words,
    key: str,
    step: Step,
    parent: Built,
    layer: LayerBlob | None,
    created_at_ns: int,
    copied: str = "",
) -> Built:
    """What is there after a step that made a layer, or none. Raises: DockerfileRefused.

    `copied`: what a COPY or ADD took, as the history tells it.
    """
    instruction, state = step.instruction, parent.state
    if is_boundary(step):
        # A stage on another one begins with all that it has, arguments among it.
        return replace(parent, key=key, layer_bytes=0, has_command=False)
    scope = words.scope(parent)
    config, author, text = _changed(step, parent, scope, copied)
    arguments = words.arguments(instruction, parent, scope)
    declared, values = parent.declared, scope.values
    if isinstance(instruction, language.Arg):
        names = (name for name, _default in instruction.pairs)
        declared, values = tuple(dict.fromkeys((*declared, *names))), arguments
    told = Told(
        instruction=instruction,
        config=config,
        text=text,
        arguments=parent.run_environment,
        declared=declared,
        values=values,
    )
    created = rfc3339_nano(created_at_ns)
    entry = history_entry(words.history, told, created, author)
    entries = (
        ()
        if entry is None
        else (
            replace(entry, empty_layer=layer is None, step_key=key if words.carries_keys else ""),
        )
    )
    document = replace(
        state.document,
        created=created,
        author=author,
        comment="",
        config=config,
        history=(*state.document.history, *entries),
    )
    built = replace(state, document=document)
    if layer is not None:
        built = built.with_layer(layer)
    return replace(
        parent,
        key=key,
        state=built,
        layer_bytes=layer.blob_bytes if layer is not None else 0,
        arguments=arguments,
        declared=declared,
        has_command=parent.has_command or isinstance(instruction, language.Cmd),
    )


def _changed(
    step: Step, parent: Built, scope: language.Scope, copied: str
) -> tuple[ExecutionDefaults, str, str]:
    """Configuration and author after a step, and what is told of it."""
    instruction, document = step.instruction, parent.state.document
    config = document.config
    change = configured(instruction, config, scope)
    if change is not None:
        keeps_command = isinstance(instruction, language.Entrypoint) and parent.has_command
        changed = replace(change.config, cmd=config.cmd) if keeps_command else change.config
        author = document.author if change.author is None else change.author
        return changed, author, change.comment
    if isinstance(instruction, language.WorkDir):
        place = absolute(scope.word(instruction.path), config).rstrip("/") or "/"
        return replace(config, working_dir=place), document.author, f"WORKDIR {place}"
    if isinstance(instruction, language.Run):
        return config, document.author, " ".join(command_words(instruction, parent))
    return config, document.author, copied


def meaning(
    instruction: language.Instruction, scope: language.Scope, parent: Built
) -> tuple[dict[str, str], dict[str, str]]:
    """All that an instruction's result depends on, but for files; and what that is made of."""
    config = parent.state.document.config
    mentioned = {
        f"variable {name}": value
        for name, value in scope.values.items()
        if name in instruction.text
    }
    change = configured(instruction, config, scope)
    if change is not None:
        arguments = str(instruction.pairs) if isinstance(instruction, language.Arg) else ""
        return {"instruction": f"{change.comment} {arguments}".strip()}, mentioned
    if isinstance(instruction, language.Run):
        # Those that its command sees are told as its arguments.
        mentioned = {
            name: value
            for name, value in mentioned.items()
            if name.removeprefix("variable ") not in parent.run_environment
        }
    parts = {
        "instruction": instruction.text,
        **mentioned,
        "working directory": config.working_dir,
        "shell": " ".join(config.shell or ()),
    }
    inlines = getattr(instruction, "inlines", ()) or getattr(
        getattr(instruction, "command", None), "files", ()
    )
    for number, inline in enumerate(inlines, 1):
        parts[f"here-document {number}"] = repr(inline)
    return parts, {}


def command_words(run: language.Run, parent: Built) -> tuple[str, ...]:
    """What RUN executes."""
    config = parent.state.document.config
    if not run.command.files or not run.command.is_for_shell:
        return for_shell(run.command, config)
    shell = config.shell or DEFAULT_SHELL
    line = run.command.words[0]
    first = run.command.files[0]
    is_script = line.strip().lstrip("<-\"'").rstrip("\"'") == first.name
    if len(run.command.files) > 1 or not is_script:
        documents = "".join(f"\n{each.content}{each.name}" for each in run.command.files)
        return (*shell, line + documents)
    if first.content.startswith("#!"):
        # A script with an interpreter of its own: given to it on its standard input.
        interpreter = first.content[2:].partition("\n")[0].split()
        return (*shell, _as_input(interpreter, first.content))
    return (*shell, first.content)


def _as_input(interpreter: list[str], script: str) -> str:
    marker = "WHERRY_" + hashlib.sha256(script.encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{' '.join(interpreter)} /dev/stdin <<'{marker}'\n{script}{marker}"
