"""The default profile, statement by statement, and profiles that users bring."""

import json
import platform

import pytest

from support.filters import ALLOW, number_of, verdict
from wherry.linux.capabilities import NAMES
from wherry.linux.libseccomp import ARCHITECTURES
from wherry.linux.seccomp import X32_SYSCALL_BIT
from wherry.model.containers import Security
from wherry.model.errors import HostLacks, InvalidValue
from wherry.oci.runtime_spec import Seccomp
from wherry.specgen import HostFacts, compiled_seccomp, container_seccomp, seccomp_profile
from wherry.specgen.capabilities import DEFAULT_CAPABILITIES
from wherry.specgen.seccomp_profile import default_profile_text

X86_64_ONLY = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="this kernel has no x86_64 calls"
)
HOST = HostFacts(kernel_version=(6, 1), architecture="amd64")
EPERM, ENOSYS = 1, 38
X86_64, X86 = ARCHITECTURES["SCMP_ARCH_X86_64"], ARCHITECTURES["SCMP_ARCH_X86"]

NEVER_ALLOWED = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key",
    "kexec_load", "kexec_file_load", "userfaultfd", "pivot_root", "move_pages", "swapon",
    "swapoff", "uselib", "ustat", "sysfs", "_sysctl", "nfsservctl",
)  # fmt: skip
OPENED_BY = {
    "CAP_SYS_ADMIN": (
        "unshare", "setns", "mount", "umount2", "mount_setattr", "move_mount", "open_tree",
        "fsopen", "fsmount", "fsconfig", "fspick", "bpf", "perf_event_open", "fanotify_init",
        "quotactl", "sethostname", "setdomainname", "syslog", "lsm_get_self_attr",
        "lsm_set_self_attr", "lsm_list_modules",
    ),
    "CAP_BPF": ("bpf",),
    "CAP_PERFMON": ("perf_event_open",),
    "CAP_SYSLOG": ("syslog",),
    "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
    "CAP_SYS_BOOT": ("reboot",),
    "CAP_SYS_PACCT": ("acct",),
    "CAP_SYS_MODULE": ("init_module", "finit_module", "delete_module"),
    "CAP_SYS_RAWIO": ("iopl", "ioperm"),
    "CAP_SYS_TIME": ("settimeofday", "clock_settime"),
    "CAP_SYS_NICE": ("mbind", "set_mempolicy"),
    "CAP_SYS_PTRACE": ("kcmp", "pidfd_getfd"),
    "CAP_SYS_TTY_CONFIG": ("vhangup",),
}  # fmt: skip


def compiled(capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES, seccomp: str = "") -> bytes:
    """The program for a container with these capabilities on a host like HOST."""
    return compiled_seccomp(resolved(Security(seccomp=seccomp), capabilities))


def native(name: str) -> int:
    """The number of a call on x86_64, which must have it."""
    found = number_of(name, "SCMP_ARCH_X86_64")
    assert found >= 0, name
    return found


def resolved(security: Security, capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES) -> Seccomp:
    """The filter, which must be there."""
    profile = seccomp_profile(security, capabilities, HOST)
    assert profile is not None
    return profile


def test_the_profile_has_361_names_outright_and_426_in_all() -> None:
    """The data is complete: names without conditions, and names at all."""
    rules = json.loads(default_profile_text())["syscalls"]
    outright = [
        name for rule in rules if not rule.keys() - {"names", "action"} for name in rule["names"]
    ]
    assert len(outright) == len(set(outright)) == 361
    assert len({name for rule in rules for name in rule["names"]}) == 426


@X86_64_ONLY
def test_every_name_allowed_outright_passes_on_each_architecture() -> None:
    """All 361, by number, on x86_64 and x86, in the program itself."""
    rules = json.loads(default_profile_text())["syscalls"]
    program = compiled()
    checked = 0
    for architecture in ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"):
        for name in rules[0]["names"]:
            number = number_of(name, architecture)
            if number >= 0:
                assert verdict(program, ARCHITECTURES[architecture], number) == ALLOW, name
                checked += 1
    assert checked > 600


@X86_64_ONLY
def test_no_other_number_passes_unasked() -> None:
    """Every number up to 1100 that no rule names is refused, on x86_64 and as x32."""
    rules = json.loads(default_profile_text())["syscalls"]
    names = {name for rule in rules for name in rule["names"]}
    numbers = {number_of(name, "SCMP_ARCH_X86_64") for name in names}
    program = compiled()
    passing = [
        number
        for number in range(1100)
        if number not in numbers and verdict(program, X86_64, number) == ALLOW
    ]
    assert passing == []


@X86_64_ONLY
@pytest.mark.parametrize("name", NEVER_ALLOWED)
def test_never_allowed(name: str) -> None:
    """Not even every capability opens these."""
    capabilities = (*DEFAULT_CAPABILITIES, *OPENED_BY)
    for program in (compiled(), compiled(capabilities)):
        for architecture, token in (("SCMP_ARCH_X86_64", X86_64), ("SCMP_ARCH_X86", X86)):
            number = number_of(name, architecture)
            if number >= 0:
                assert verdict(program, token, number) == EPERM


@X86_64_ONLY
@pytest.mark.parametrize("capability", OPENED_BY)
def test_capabilities_open_their_calls(capability: str) -> None:
    """Refused without the capability, passed with it."""
    without, with_it = compiled(), compiled((*DEFAULT_CAPABILITIES, capability))
    for name in OPENED_BY[capability]:
        assert verdict(without, X86_64, native(name)) == EPERM, name
        assert verdict(with_it, X86_64, native(name)) == ALLOW, name


@X86_64_ONLY
def test_chroot_follows_a_default_capability() -> None:
    """chroot passes by default and is refused once CAP_SYS_CHROOT is dropped."""
    less = tuple(name for name in DEFAULT_CAPABILITIES if name != "CAP_SYS_CHROOT")
    assert verdict(compiled(), X86_64, native("chroot")) == ALLOW
    assert verdict(compiled(less), X86_64, native("chroot")) == EPERM


@X86_64_ONLY
@pytest.mark.parametrize("bit", [0, X32_SYSCALL_BIT], ids=["x86_64", "x32"])
def test_socket_families(bit: int) -> None:
    """All but AF_ALG (38) and AF_VSOCK (40), whatever the half that the kernel ignores."""
    program = compiled()
    for upper in (0, 1 << 32, 0xFFFFFFFF << 32):
        refused = [
            family
            for family in (*range(64), 1000, 1 << 31)
            if verdict(program, X86_64, bit | native("socket"), upper | family) != ALLOW
        ]
        assert refused == [38, 40]


@X86_64_ONLY
def test_32_bit_sockets() -> None:
    """x86's own socket call is filtered alike; socketcall stays open, as documented upstream."""
    program = compiled()
    socket = number_of("socket", "SCMP_ARCH_X86")
    number = 359 if socket < 0 else socket
    assert verdict(program, X86, number, 38) == EPERM
    assert verdict(program, X86, number, 2) == ALLOW
    assert verdict(program, X86, 102, 1) == ALLOW


@X86_64_ONLY
def test_clone_and_clone3() -> None:
    """Threads and forks pass, seven namespace flags do not, clone3 does not exist."""
    program = compiled()
    clone = native("clone")
    assert verdict(program, X86_64, clone, 0x3D0F00) == ALLOW
    assert verdict(program, X86_64, clone, 17) == ALLOW
    flags = [1 << bit for bit in range(64) if verdict(program, X86_64, clone, 1 << bit) == EPERM]
    assert len(flags) == 7
    assert sum(flags) == 0x7E020000
    assert verdict(program, X86_64, native("clone3")) == ENOSYS
    admin = compiled((*DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"))
    assert verdict(admin, X86_64, clone, 0x7E020000) == ALLOW
    assert verdict(admin, X86_64, native("clone3")) == ALLOW


@X86_64_ONLY
def test_personality_values() -> None:
    """Five values and no other."""
    program = compiled()
    tried = (0, 1, 8, 9, 0x20000, 0x20008, 0x20009, 0x40000, 0xFFFFFFFF, 0xFFFFFFFE)
    passing = [
        each for each in tried if verdict(program, X86_64, native("personality"), each) == ALLOW
    ]
    assert passing == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]


@X86_64_ONLY
def test_tracing_is_allowed_since_4_8() -> None:
    """ptrace passes on a kernel that checks the filter after the tracer, and not before."""
    old = HostFacts(kernel_version=(4, 7), architecture="amd64")
    profile = seccomp_profile(Security(), DEFAULT_CAPABILITIES, old)
    assert profile is not None
    assert verdict(compiled(), X86_64, native("ptrace")) == ALLOW
    assert verdict(compiled_seccomp(profile), X86_64, native("ptrace")) == EPERM


def test_architectures_come_from_the_machine() -> None:
    """amd64 has two sub-architectures, arm64 one, riscv64 none."""
    expected = {
        "amd64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        "arm64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
        "riscv64": ("SCMP_ARCH_RISCV64",),
    }
    for architecture, names in expected.items():
        profile = seccomp_profile(Security(), (), HostFacts(architecture=architecture))
        assert profile is not None
        assert profile.architectures == names


def test_unconfined_and_privileged_have_no_filter() -> None:
    """No filter when asked for none, nor when privileged, unless privileged asks for one."""
    assert seccomp_profile(Security(seccomp="unconfined"), (), HOST) is None
    assert seccomp_profile(Security(is_privileged=True), (), HOST) is None
    own = '{"defaultAction": "SCMP_ACT_ALLOW"}'
    privileged = Security(is_privileged=True, seccomp=own)
    assert resolved(privileged).default_action == "SCMP_ACT_ALLOW"
    assert resolved(Security(seccomp="builtin")) == resolved(Security())
    assert seccomp_profile(Security(seccomp="{}"), (), HOST) is None


def test_a_container_and_its_execs_have_the_same_filter() -> None:
    """The filter follows the container's capabilities, added ones included."""
    host = HostFacts(capabilities=NAMES)
    admin = Security(capabilities_added=("SYS_ADMIN",))
    expected = seccomp_profile(Security(), (*DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"), host)
    assert container_seccomp(admin, host) == expected != container_seccomp(Security(), host)


def test_conditions_of_a_users_profile() -> None:
    """Every include must fit; one exclude is enough."""
    rules = [
        {"names": ["a"], "action": "X", "includes": {"caps": ["CAP_KILL", "CAP_BPF"]}},
        {"names": ["b"], "action": "X", "includes": {"caps": ["CAP_KILL"], "arches": ["arm"]}},
        {"names": ["c"], "action": "X", "includes": {"caps": ["CAP_KILL"], "minKernel": "6.1"}},
        {"names": ["d"], "action": "X", "includes": {"minKernel": "6.2"}},
        {"names": ["e"], "action": "X", "excludes": {"caps": ["CAP_BPF", "CAP_KILL"]}},
        {"names": ["f"], "action": "X", "excludes": {"minKernel": "5.0"}},
        {"names": ["g"], "action": "X", "excludes": {"minKernel": "6.10"}},
        {"names": ["h"], "action": "X", "excludes": {"arches": ["amd64"]}},
        {"name": "i", "action": "X", "args": None, "includes": None},
    ]
    text = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})
    profile = resolved(Security(seccomp=text), ("CAP_KILL",))
    assert [rule.names for rule in profile.syscalls] == [("c",), ("g",), ("i",)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "Decoding seccomp profile failed: "),
        ("[]", "Decoding seccomp profile failed: document: expected an object, not []"),
        ('{"syscalls": 3}', "Decoding seccomp profile failed: syscalls: expected an array, not 3"),
        (
            '{"defaultAction": "X", "syscalls": [{"names": ["a"], "action": "X", '
            '"includes": {"minKernel": "new"}}]}',
            'Decoding seccomp profile failed: invalid kernel version: "new"',
        ),
        (
            '{"defaultAction": "X", "architectures": ["SCMP_ARCH_X86"], '
            '"archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}',
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either "
            "'architectures' or 'archMap'",
        ),
        (
            '{"defaultAction": "X", "syscalls": [{"name": "a", "names": ["b"], "action": "X"}]}',
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or "
            "'names'",
        ),
    ],
    ids=["text", "array", "rules", "kernel", "architectures", "names"],
)
def test_malformed_profiles(text: str, sentence: str) -> None:
    """Docker's sentence for each."""
    with pytest.raises(InvalidValue) as caught:
        seccomp_profile(Security(seccomp=text), (), HOST)
    assert caught.value.sentence.startswith(sentence)


def test_words_that_no_kernel_knows() -> None:
    """An action that does not exist is refused when the filter is compiled."""
    profile = resolved(Security(seccomp='{"defaultAction": "SCMP_ACT_SIGH"}'))
    with pytest.raises(InvalidValue, match="SCMP_ACT_SIGH"):
        compiled_seccomp(profile)


def test_a_listener_is_not_offered() -> None:
    """A profile that hands calls to a supervisor is refused, not half obeyed."""
    text = '{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x.sock"}'
    with pytest.raises(HostLacks):
        compiled_seccomp(resolved(Security(seccomp=text)))


def test_equal_filters_are_compiled_once() -> None:
    """The program for the same profile and capabilities is the same object."""
    assert compiled() is compiled()
    assert compiled() is compiled(tuple(reversed(DEFAULT_CAPABILITIES)))
