"""How an image's history tells of a step: in the classic builder's words, or in BuildKit's.

To the classic builder everything was a command in a container: what runs nothing is a comment
(`#(nop)`) in the image's shell, and files have a digest in the place of their names. BuildKit
writes the instruction as it was understood, marks what made a layer, and has no line for ONBUILD
and for labels that are given with the build.
"""

from collections.abc import Iterable, Iterator, Mapping

from wherry.builder import dockerfile as language
from wherry.builder.configuring import DEFAULT_SHELL
from wherry.kit.values import dataclass
from wherry.model.builds import HistoryForm
from wherry.oci.image_spec import ExecutionDefaults, History

_FILLING = (language.Copy, language.Add, language.WorkDir)
_OF_BUILDKIT, _LAYER_OF_BUILDKIT = "buildkit.dockerfile.v0", "# buildkit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to tell of a step."""

    instruction: language.Instruction
    config: ExecutionDefaults
    """After the step."""
    text: str
    """What was set, copied, run, or where it goes on; a command without its arguments."""
    arguments: Mapping[str, str]
    """ARG that a command sees and no ENV hides."""
    declared: tuple[str, ...]
    """Every ARG of the stage."""
    values: Mapping[str, str]
    """What names stand for."""


def history_entry(form: HistoryForm, told: Told, created: str, author: str) -> History | None:
    """The line of a step; None where the form has none for it."""
    if form is HistoryForm.CLASSIC:
        return History(created=created, created_by=_classic(told), author=author)
    line = _buildkit(told)
    if line is None:
        return None
    return History(created=created, created_by=line, comment=_OF_BUILDKIT)


def _classic(told: Told) -> str:
    if isinstance(told.instruction, language.Run):
        return " ".join((*_arguments(sorted(told.arguments), told.arguments), told.text))
    shell = " ".join(told.config.shell or DEFAULT_SHELL)
    # What changes files is in one word with the comment's sign, all else is the next word.
    mark = "#(nop)" if isinstance(told.instruction, _FILLING) else "#(nop) "
    return f"{shell} {mark} {told.text}"


def _buildkit(told: Told) -> str | None:
    match told.instruction:
        case language.Run():
            words = (*_arguments(told.declared, told.values), told.text)
            return f"RUN {' '.join(words)} {_LAYER_OF_BUILDKIT}"
        case language.Copy() | language.Add():
            return f"{told.text} {_LAYER_OF_BUILDKIT}"
        case language.OnBuild() | language.Label(line=0):  # `--label` is no instruction
            return None
        case language.Arg(pairs=pairs):
            names = (name for name, _default in pairs)
            return " ".join(("ARG", *_declarations(names, told.values)))
        case language.Expose():
            ports = " ".join(f"{each}:{{}}" for each in told.config.exposed_ports)
            return f"EXPOSE map[{ports}]"
        case _:
            return told.text


def _declarations(names: Iterable[str], values: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        yield f"{name}={values[name]}" if name in values else name


def _arguments(names: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """The words in front of a command that sees arguments: how many, and each."""
    words = [f"{name}={values.get(name, '')}" for name in names]
    return (f"|{len(words)}", *words) if words else ()
