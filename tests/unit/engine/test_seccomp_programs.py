"""Files of compiled system call filters, wanted by many starts at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wherry.engine.containers.seccomp_programs import SeccompPrograms
from wherry.engine.paths import ContainerPaths
from wherry.oci.runtime_spec import Seccomp


def test_one_file_for_starts_at_once(tmp_path: Path) -> None:
    """After a boot all containers are started together, and each wants the same new file."""
    profile = Seccomp(default_action="SCMP_ACT_ALLOW")
    with ThreadPoolExecutor(8) as pool:
        for number in range(100):
            paths = ContainerPaths(data_root=str(tmp_path), exec_root=str(tmp_path / str(number)))
            programs = SeccompPrograms(paths)
            found = set(pool.map(programs.path_of, [profile] * 8))
            assert len(found) == 1
            assert [str(each) for each in Path(found.copy().pop()).parent.iterdir()] == list(found)
