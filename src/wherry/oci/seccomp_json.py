"""The JSON of system call filters: `linux.seccomp` of a configuration."""

from wherry.oci.json_fields import UINT32, UINT64, Fields, JsonObject, present
from wherry.oci.runtime_spec import Seccomp, SeccompArgument, SeccompRule


def seccomp_to_json(seccomp: Seccomp) -> JsonObject:
    """A system call filter as a member of a larger document."""
    return present(
        defaultAction=seccomp.default_action,
        defaultErrnoRet=seccomp.default_errno_ret,
        architectures=seccomp.architectures or None,
        flags=seccomp.flags or None,
        listenerPath=seccomp.listener_path or None,
        listenerMetadata=seccomp.listener_metadata or None,
        syscalls=[
            present(
                names=rule.names,
                action=rule.action,
                errnoRet=rule.errno_ret,
                args=[_argument_to_json(each) for each in rule.args] or None,
            )
            for rule in seccomp.syscalls
        ],
    )


def _argument_to_json(argument: SeccompArgument) -> JsonObject:
    return {
        "index": argument.index,
        "value": argument.value,
        "valueTwo": argument.value_two,
        "op": argument.op,
    }


def seccomp_from_json(fields: Fields) -> Seccomp:
    """The reverse of `seccomp_to_json`. Raises: ValueError."""
    fields.require("defaultAction")
    return Seccomp(
        default_action=fields.text("defaultAction"),
        default_errno_ret=fields.number_or_none("defaultErrnoRet", UINT32),
        architectures=fields.texts("architectures"),
        flags=fields.texts("flags"),
        listener_path=fields.text("listenerPath"),
        listener_metadata=fields.text("listenerMetadata"),
        syscalls=tuple(_seccomp_rule(each) for each in fields.children("syscalls")),
    )


def _seccomp_rule(fields: Fields) -> SeccompRule:
    fields.require("names", "action")
    return SeccompRule(
        names=fields.texts("names"),
        action=fields.text("action"),
        errno_ret=fields.number_or_none("errnoRet", UINT32),
        args=tuple(_seccomp_argument(each) for each in fields.children("args")),
    )


def _seccomp_argument(fields: Fields) -> SeccompArgument:
    fields.require("index", "value", "op")
    return SeccompArgument(
        index=fields.number("index", UINT32),
        value=fields.number("value", UINT64),
        op=fields.text("op"),
        value_two=fields.number("valueTwo", UINT64),
    )
