"""Compiling filters: what libseccomp does not do by itself."""

import operator
import platform

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.filters import ALLOW, number_of, verdict
from wherry.linux.libseccomp import ARCHITECTURES
from wherry.linux.seccomp import X32_SYSCALL_BIT, load_filter
from wherry.linux.seccomp_compiler import compile_filter
from wherry.linux.syscall_numbers import newer_numbers
from wherry.oci.runtime_spec import Seccomp, SeccompArgument, SeccompRule

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
TOKEN = ARCHITECTURES[NATIVE]
X86_64_ONLY = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="this kernel has no x86_64 calls"
)
EPERM, ENOSYS = 1, 38


def refusing(*rules: SeccompRule, **members: object) -> Seccomp:
    """A filter that refuses what the rules don't name."""
    return Seccomp(default_action="SCMP_ACT_ERRNO", syscalls=rules, **members)  # type: ignore[arg-type]


def allow(*names: str, args: tuple[SeccompArgument, ...] = ()) -> SeccompRule:
    """A rule that allows."""
    return SeccompRule(names=names, action="SCMP_ACT_ALLOW", args=args)


def argument(index: int, op: str, value: int, value_two: int = 0) -> SeccompArgument:
    """A comparison, by the operator's short name."""
    return SeccompArgument(index=index, op=f"SCMP_CMP_{op}", value=value, value_two=value_two)


def test_named_calls_pass_and_others_are_refused() -> None:
    """A call that a rule names passes; one below the newest gets the default action."""
    compiled = compile_filter(refusing(allow("getpid", "openat2")))
    assert verdict(compiled, TOKEN, number_of("getpid", NATIVE)) == ALLOW
    assert verdict(compiled, TOKEN, number_of("mount", NATIVE)) == EPERM


def test_numbers_above_the_newest_named_call_do_not_exist() -> None:
    """The first number that no rule could have meant gets ENOSYS, and so do all above."""
    compiled = compile_filter(refusing(allow("getpid", "openat2")))
    newest = number_of("openat2", NATIVE)
    assert verdict(compiled, TOKEN, newest) == ALLOW
    assert verdict(compiled, TOKEN, newest - 1) == EPERM
    assert verdict(compiled, TOKEN, newest + 1) == ENOSYS
    assert verdict(compiled, TOKEN, 5000) == ENOSYS


def test_calls_newer_than_libseccomp_are_added_by_number() -> None:
    """mseal and getxattrat pass, whatever libseccomp knows, beside other architectures."""
    others = ("SCMP_ARCH_X86", "SCMP_ARCH_X32") if NATIVE.endswith("64") else ()
    compiled = compile_filter(
        refusing(allow("getpid", "mseal", "getxattrat"), architectures=(NATIVE, *others))
    )
    assert verdict(compiled, TOKEN, 462) == ALLOW
    assert verdict(compiled, TOKEN, 464) == ALLOW
    assert verdict(compiled, TOKEN, 463) == EPERM
    assert verdict(compiled, TOKEN, 465) == ENOSYS


@X86_64_ONLY
def test_each_architecture_has_its_own_numbers() -> None:
    """getpid passes by the number that each architecture has for it, and by no other."""
    compiled = compile_filter(
        refusing(
            allow("getpid", "openat2"),
            architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        )
    )
    x86 = ARCHITECTURES["SCMP_ARCH_X86"]
    assert verdict(compiled, TOKEN, 39) == ALLOW
    assert verdict(compiled, TOKEN, X32_SYSCALL_BIT | 39) == ALLOW
    assert verdict(compiled, x86, 20) == ALLOW
    assert verdict(compiled, x86, 39) == EPERM
    assert verdict(compiled, x86, 600) == ENOSYS
    assert verdict(compiled, TOKEN, X32_SYSCALL_BIT | 40) == EPERM
    assert verdict(compiled, TOKEN, X32_SYSCALL_BIT | 600) == ENOSYS
    assert verdict(compiled, TOKEN, -1) == ENOSYS


@X86_64_ONLY
def test_an_architecture_that_is_not_named_kills() -> None:
    """A call through another door than the listed ones ends the thread, x32 included."""
    compiled = compile_filter(refusing(allow("getpid")))
    assert verdict(compiled, ARCHITECTURES["SCMP_ARCH_X86"], 20) == "kill"
    assert verdict(compiled, TOKEN, X32_SYSCALL_BIT | 39) == "kill"
    assert verdict(compiled, TOKEN, X32_SYSCALL_BIT | 600) == "kill"


def test_comparisons_of_different_arguments_must_all_hold() -> None:
    """One rule with two arguments is an and."""
    both = (argument(0, "EQ", 1), argument(1, "EQ", 2))
    compiled = compile_filter(refusing(allow("socket", args=both)))
    number = number_of("socket", NATIVE)
    assert verdict(compiled, TOKEN, number, 1, 2) == ALLOW
    assert verdict(compiled, TOKEN, number, 1, 3) == EPERM


def test_comparisons_of_one_argument_are_alternatives() -> None:
    """Two comparisons of the same argument are an or, as runc reads them."""
    either = (argument(0, "EQ", 1), argument(0, "EQ", 2))
    compiled = compile_filter(refusing(allow("socket", args=either)))
    number = number_of("socket", NATIVE)
    assert [verdict(compiled, TOKEN, number, each) for each in (1, 2, 3)] == [ALLOW, ALLOW, EPERM]


@pytest.mark.parametrize(
    ("op", "passing", "failing"),
    [
        ("NE", 6, 5),
        ("LT", 4, 5),
        ("LE", 5, 6),
        ("EQ", 5, 1 << 32 | 5),
        ("GE", 5, 4),
        ("GT", 1 << 32, 5),
    ],
)
def test_operators_compare_64_bits(op: str, passing: int, failing: int) -> None:
    """Each operator, with values on both sides of five and above 32 bits."""
    compiled = compile_filter(refusing(allow("mmap", args=(argument(0, op, 5),))))
    number = number_of("mmap", NATIVE)
    assert verdict(compiled, TOKEN, number, passing) == ALLOW
    assert verdict(compiled, TOKEN, number, failing) == EPERM


COMPARE = {
    "NE": operator.ne,
    "LT": operator.lt,
    "LE": operator.le,
    "EQ": operator.eq,
    "GE": operator.ge,
    "GT": operator.gt,
}


@settings(max_examples=40, deadline=None)
@given(
    op=st.sampled_from(sorted(COMPARE)),
    bound=st.integers(0, 300) | st.integers(0, (1 << 32) - 1),
    low=st.integers(0, 300) | st.integers(0, (1 << 32) - 1),
    upper=st.integers(0, (1 << 32) - 1),
)
def test_int_arguments_are_compared_by_their_lower_half(
    op: str, bound: int, low: int, upper: int
) -> None:
    """A family, or an ioctl's request, is what the kernel takes it for."""
    compiled = compile_filter(refusing(allow("ioctl", args=(argument(1, op, bound),))))
    number = number_of("ioctl", NATIVE)
    for value in (low, bound, bound + 1):
        passes = verdict(compiled, TOKEN, number, 0, upper << 32 | value & 0xFFFFFFFF) == ALLOW
        assert passes == COMPARE[op](value & 0xFFFFFFFF, bound)


def test_a_mask_is_applied_before_comparing() -> None:
    """MASKED_EQ looks only at the bits of the mask."""
    masked = argument(0, "MASKED_EQ", 0xF0, 0x20)
    compiled = compile_filter(refusing(allow("socket", args=(masked,))))
    number = number_of("socket", NATIVE)
    assert verdict(compiled, TOKEN, number, 0x2F) == ALLOW
    assert verdict(compiled, TOKEN, number, 0x3F) == EPERM


def test_a_rule_that_repeats_the_default_is_no_error() -> None:
    """libseccomp would refuse such a rule; it says nothing, so it is left out."""
    repeated = SeccompRule(names=("mount",), action="SCMP_ACT_ERRNO", errno_ret=1)
    compiled = compile_filter(refusing(allow("getpid", "openat2"), repeated))
    assert verdict(compiled, TOKEN, number_of("mount", NATIVE)) == EPERM


def test_errno_of_default_and_rule() -> None:
    """The numbers that a profile gives are the numbers that come back."""
    wanted = Seccomp(
        default_action="SCMP_ACT_ERRNO",
        default_errno_ret=13,
        syscalls=(
            SeccompRule(names=("mount",), action="SCMP_ACT_ERRNO", errno_ret=95),
            allow("openat2"),
        ),
    )
    compiled = compile_filter(wanted)
    assert verdict(compiled, TOKEN, number_of("mount", NATIVE)) == 95
    assert verdict(compiled, TOKEN, number_of("getpid", NATIVE)) == 13


def test_a_filter_that_allows_by_default_has_no_unknown_numbers() -> None:
    """A list of what is refused leaves new calls alone."""
    refused = SeccompRule(names=("mount",), action="SCMP_ACT_KILL_PROCESS")
    compiled = compile_filter(Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=(refused,)))
    assert verdict(compiled, TOKEN, 5000) == ALLOW
    assert verdict(compiled, TOKEN, number_of("mount", NATIVE)) == "kill process"


def test_names_that_nobody_knows_are_skipped() -> None:
    """A profile of the future compiles; its new call does not exist here."""
    compiled = compile_filter(refusing(allow("getpid", "frobnicate")))
    assert verdict(compiled, TOKEN, number_of("getpid", NATIVE)) == ALLOW


@pytest.mark.parametrize(
    "wanted",
    [
        Seccomp(default_action="SCMP_ACT_NOTIFY"),
        Seccomp(default_action=""),
        Seccomp(default_action="SCMP_ACT_ALLOW", architectures=("SCMP_ARCH_VAX",)),
        Seccomp(default_action="SCMP_ACT_ALLOW", flags=("SECCOMP_FILTER_FLAG_NEW_LISTENER",)),
        refusing(SeccompRule(names=("mount",), action="PERHAPS")),
        refusing(allow("mount", args=(argument(6, "EQ", 0),))),
        refusing(allow("mount", args=(argument(0, "ABOUT", 0),))),
    ],
    ids=["notify", "no action", "architecture", "flag", "action", "argument", "operator"],
)
def test_unknown_words_are_refused(wanted: Seccomp) -> None:
    """What could not be honoured is an error that names it."""
    with pytest.raises(ValueError, match=r"^seccomp: "):
        compile_filter(wanted)


@pytest.mark.parametrize("program", [b"", b"bpf1", b"bpf1\0\0\0\0", b"elf1" + bytes(12)])
def test_only_compiled_filters_are_loaded(program: bytes) -> None:
    """Bytes that no compiler made are refused before the kernel sees them."""
    with pytest.raises(ValueError, match=r"^seccomp: "):
        load_filter(program)


def test_our_numbers_are_libseccomps_where_it_has_them() -> None:
    """Each number of ours that this libseccomp knows too is the same."""
    ours = newer_numbers()
    theirs = {name: number_of(name, NATIVE) for name in ours}
    assert {name: theirs[name] for name in ours} == ours
    assert newer_numbers("pdp11") == {}
