"""Habits that a linter doesn't know: each was a way for a code base like this to go wrong."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.source_tree import REPOSITORY, modules

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager"}
UNTYPED_ROOMS = ("wire", "api", "client", "cli", "compose", "pods", "programs")
"""Rooms that may hold JSON as it came; everywhere else it has been parsed into values."""

DECODERS = {
    "wherry.kit.messages": "control messages, before their fields are taken out",
    "wherry.operations.journal": "journals as they are kept on disk",
    "wherry.operations.render": "journals as they are shown",
    "wherry.runtime.handshake": "what a child tells its parent over the pipe",
}
"""Modules elsewhere whose purpose is to turn values into JSON and back."""

TASK_OWNERS = {
    "wherry.kit.aio.undo": "unwinding runs to its end in a task of its own",
}
"""Modules that may make a bare task, and why; all others use task groups."""


def test_ctypes_only_in_linux() -> None:
    """The C world is entered in one room."""
    assert not list(_importers_of("ctypes", allowed={"linux"}))


def test_no_banned_module_names() -> None:
    """A name that says nothing collects everything."""
    bad = [module.name for module in modules() if module.path.stem in BANNED_NAMES]
    bad += [
        module.name for module in modules() if module.path.stem == "types" and module.room != "oci"
    ]
    assert not bad


@pytest.mark.parametrize("method", ["extractall", "extract"])
def test_archives_are_never_extracted_by_the_standard_library(method: str) -> None:
    """`tarfile` follows links out of the root; layers are applied through directory fds."""
    found = [
        module.at(node.lineno)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    ]
    assert not found, "\n".join(found)


def test_tasks_have_owners() -> None:
    """A task that nobody awaits dies silently or lives for ever."""
    found = [
        module.at(node.lineno)
        for module in modules()
        if module.name not in TASK_OWNERS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and _called_name(node.value) in ("create_task", "ensure_future")
        and not _is_of_a_group(node.value)
    ]
    assert not found, "tasks that nobody holds:\n" + "\n".join(found)


def test_no_untyped_documents_inside() -> None:
    """`dict[str, Any]` does not flow in engine and below."""
    found = []
    for module in modules():
        if module.room in UNTYPED_ROOMS or module.name in DECODERS:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Subscript) and re.fullmatch(
                r"(dict|Mapping|Dict|MutableMapping)\[str, (Any|object)\]", ast.unparse(node)
            ):
                found.append(module.at(node.lineno))
    assert not found, "\n".join(found)


def test_values_are_cheap() -> None:
    """A class of `dataclasses` takes 10 kB that one of `kit.values` does not."""
    found = [
        module.at(node.lineno)
        for module in modules()
        if module.name not in ("wherry.kit.values", "wherry.api.buildkit.jobs")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        if any(each.name == "dataclass" for each in node.names)
    ]
    assert not found, "take wherry.kit.values:\n" + "\n".join(found)


def test_no_wildcard_imports() -> None:
    """Nothing is imported by `*`: a reader finds where each name comes from."""
    found = [
        f"{module.at(line)} {name}"
        for module in modules()
        for name, line in module.imports()
        if name.endswith(".*")
    ]
    assert not found


def test_text_names_no_private_place() -> None:
    """The repository names no package registry and no path of the machine it was written on."""
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "deb.debian" + ".org"]
    places = ["/work/" + "main", "/work/" + "shared", "/tmp/" + "plan", "/root/" + ".py"]
    found = []
    for path in _tracked_texts():
        text = path.read_text(errors="replace")
        found += [f"{path}: {word}" for word in (*hosts, *places) if word in text]
    assert not found, "\n".join(found)


def _importers_of(name: str, *, allowed: set[str]) -> Iterator[str]:
    for module in modules():
        if module.room in allowed:
            continue
        for imported, line in module.imports():
            if imported.split(".")[0] == name:
                yield module.at(line)


def _called_name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_of_a_group(call: ast.Call) -> bool:
    """Whether a task is made by a task group: `group.create_task(...)`, not `asyncio.…`."""
    if not isinstance(call.func, ast.Attribute):
        return False
    return ast.unparse(call.func.value) not in ("asyncio", "asyncio.get_running_loop()", "loop")


def _tracked_texts() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0"):
        path = REPOSITORY / name
        if name and path.is_file():
            yield path
