"""The Dockerfile language: text in, frozen values out.

Four steps, each linear in the length of the text. `lines` joins physical lines into logical ones
(directives, comments, continuations, here-documents). `words` splits a logical line: shell words,
JSON arrays, `name=value`. `parser` makes instructions and stages of them. `expansion` puts the
values of variables in; that is done later, when the values are known.

Whatever is wrong is told as Docker tells it, with the number of the line.
"""

from wherry.builder.dockerfile.expansion import Scope
from wherry.builder.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    CommandLine,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheckWish,
    Inline,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    RunMount,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    WorkDir,
)
from wherry.builder.dockerfile.lines import LARGEST_FILE, Line
from wherry.builder.dockerfile.parser import parse, parse_trigger

__all__ = [
    "LARGEST_FILE",
    "Add",
    "Arg",
    "Cmd",
    "CommandLine",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "HealthCheckWish",
    "Inline",
    "Instruction",
    "Label",
    "Line",
    "Maintainer",
    "OnBuild",
    "Run",
    "RunMount",
    "Scope",
    "Shell",
    "Stage",
    "StopSignal",
    "User",
    "Volume",
    "WorkDir",
    "parse",
    "parse_trigger",
]
