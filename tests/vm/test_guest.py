"""What this machine's kernel lacks, in a virtual machine whose kernel has it.

In `make test` the guest boots, starts the engine and one container under limits of version 2,
confined by AppArmor. `make vm-test` (WHERRY_VM=whole) runs the part of the kernel suite in it
that depends on the kernel.
"""

import os
import shlex

import pytest

from support import vm

IS_WHOLE = os.environ.get("WHERRY_VM") == "whole"
SMOKE = "tests/kernel/cgroup2/test_unified.py::test_every_limit_is_where_the_kernel_keeps_it"
GROUPS = {
    "storage": (
        "tests/contract/snapshots/test_drivers.py",
        "tests/parity/test_storage_drivers.py",
    ),
    "networks": (
        "tests/kernel/networks/test_child_links.py",
        "tests/kernel/networks/test_sctp.py",
        "tests/kernel/networks/test_sealed_overlay.py",
    ),
    "confinement": (
        "tests/kernel/cgroup2",
        "tests/kernel/apparmor",
        "tests/kernel/seccomp",
        "tests/kernel/runtime/test_defaults.py",
        "tests/kernel/runtime/test_hostile_images.py",
        "tests/kernel/runtime/test_hooks.py::test_hooks_are_not_confined",
        "tests/kernel/runtime/test_user_namespaces.py",
        "tests/parity/test_profile.py",
        "tests/parity/test_systemd.py",
        "tests/proofs/test_profile_matrix.py",
    ),
}
"""A boot for each: what a suite leaves in memory, where the guest's files are, goes with it."""
NOT_THERE = ("--deselect", "tests/kernel/runtime/test_user_namespaces.py::test_idmapped_mounts",
             "--deselect", "tests/kernel/runtime/test_user_namespaces.py"
             "::test_an_idmapped_mount_by_the_containers_own_map")  # fmt: skip
"""The guest's temporary files are on tmpfs, which takes id maps since Linux 6.3 only."""

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(bool(vm.is_possible()), reason=vm.is_possible() or ""),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    vm.prepare()


@pytest.mark.parametrize("group", GROUPS if IS_WHOLE else ("smoke",))
def test_in_the_guest(group: str) -> None:
    """The tests pass in the guest; what it said is shown when they fail."""
    tests, timeout_s = GROUPS.get(group, (SMOKE,)), 1700 if IS_WHOLE else 400
    words = (
        "-q",
        "--color=no",
        "--timeout=900",
        "-p",
        "no:cacheprovider",
        "--durations=5",
        *NOT_THERE,
        *tests,
    )
    verdict = vm.run_in_vm(
        f".venv/bin/python -m pytest {shlex.join(words)}", timeout_s=timeout_s, hears=print
    )
    assert verdict.status == 0, verdict.output[-20_000:]
    assert " passed" in verdict.output


def test_verdicts_are_read_from_the_serial_line() -> None:
    """A guest that ends without a word has failed, whatever its output looks like."""
    said = vm.verdict_of("GUEST: up after 2.50 s\r\n1 passed\r\nGUEST: RUN-RC 3\r\n")
    assert (said.status, said.up_after_s) == (3, 2.5)
    assert vm.verdict_of("1 passed\nGUEST: RUN-RC 0 and more\n").status is None
    assert vm.verdict_of("").status is None
