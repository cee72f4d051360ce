"""The JSON of system call filters: `linux.seccomp` of a configuration."""

from wherry.oci.json_fields import UINT32, UINT64
from wherry.oci.runtime_spec import Seccomp, SeccompArgument, SeccompRule
from wherry.oci.shapes import Shape, many, number, text, texts

_ARGUMENT = Shape(
    SeccompArgument,
    keeps=("value_two",),
    index=number(UINT32),
    value=number(UINT64),
    value_two=number(UINT64),
    op=text(),
)
_RULE = Shape(
    SeccompRule,
    names=texts(),
    action=text(),
    errno_ret=number(UINT32),
    args=many(_ARGUMENT),
)
SECCOMP = Shape(
    Seccomp,
    keeps=("syscalls",),
    default_action=text(),
    default_errno_ret=number(UINT32),
    architectures=texts(),
    flags=texts(),
    listener_path=text(),
    listener_metadata=text(),
    syscalls=many(_RULE),
)
