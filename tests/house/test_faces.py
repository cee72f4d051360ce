"""Rooms are entered by the front door."""

import ast

from support.source_tree import FACELESS_ROOMS, PACKAGE, THIN_ROOMS, Module, modules, rooms

QUESTIONS = (("I own",), ("I never",), ("disk", "kernel", "leave"), ("Called by", "Who calls"))


def test_other_rooms_import_only_the_face() -> None:
    """From outside, a room with a face is imported as `wherry.room` and nothing deeper."""
    trespasses = []
    for module in modules():
        if module.room == "programs":
            continue  # composition roots put rooms together and may see their insides
        for name, line in module.imports():
            parts = name.split(".")
            if parts[0] != "wherry" or len(parts) < 4:
                continue
            room = parts[1]
            is_submodule = (PACKAGE / room / parts[2]).is_dir() or (
                PACKAGE / room / f"{parts[2]}.py"
            ).exists()
            if room not in (module.room, *FACELESS_ROOMS) and is_submodule:
                trespasses.append(f"{module.at(line)} imports {name}")
    assert not trespasses, "\n".join(trespasses)


def test_every_room_introduces_itself() -> None:
    """A room's docstring says what it owns, never does, leaves behind, and who calls it."""
    silent = []
    for room in rooms():
        text = _docstring(Module(PACKAGE / room / "__init__.py"))
        for words in QUESTIONS:
            if not any(word.lower() in text.lower() for word in words):
                silent.append(f"{room} does not say: {words[0]}")
    assert not silent, "\n".join(silent)


def test_thin_faces_import_nothing() -> None:
    """Python runs parent packages, so the `__init__` of a thin room imports nothing."""
    for room in (*THIN_ROOMS, "kit"):
        face = Module(PACKAGE / room / "__init__.py")
        assert list(face.imports()) == [], room


def test_the_package_is_empty() -> None:
    """`wherry/__init__.py` has no code at all: every process would pay for it."""
    assert (PACKAGE / "__init__.py").read_text() == ""


def test_nothing_imports_programs() -> None:
    """The wiring holds the objects; no object holds the wiring."""
    importers = [
        f"{module.at(line)} imports {name}"
        for module in modules()
        if module.room != "programs"
        for name, line in module.imports()
        if name.startswith("wherry.programs")
    ]
    assert not importers, "\n".join(importers)


def _docstring(module: Module) -> str:
    return ast.get_docstring(module.tree) or ""
