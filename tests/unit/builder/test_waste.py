"""Bytes of layers that a result does not show."""

import io
import tarfile

from wherry.builder.results.waste import hidden_bytes


def layer(**files: int | None) -> io.BytesIO:
    """A layer of files by their sizes; None for a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, size in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = size or 0
            member.type = tarfile.DIRTYPE if size is None else tarfile.REGTYPE
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return io.BytesIO(out.getvalue())


def hidden(*layers: io.BytesIO) -> list[int]:
    """Of each layer, the bottom one first."""
    return [*hidden_bytes([lambda each=each: each for each in layers])]  # type: ignore[misc]


def test_what_is_written_again_and_what_is_removed() -> None:
    """By files, by removals of files and directories, by a file in a directory's place."""
    below = layer(a=10, d=None, d__b=20, d__c=40, e=None, e__f=80, g__h=160, plain=320)
    above = layer(**{"a": 5, "d__.wh.b": 0, ".wh.e": 0, "g": 1})
    assert hidden(below, above) == [10 + 20 + 80 + 160, 0]


def test_contents_of_a_directory_that_was_made_again() -> None:
    """What is in it is gone, the directory is not; what its own layer puts there is seen."""
    below = layer(d__a=1, other__a=2)
    above = layer(**{"d": None, "d__.wh..wh..opq": 0, "d__new": 4})
    top = layer(d__new=8)
    assert hidden(below, above, top) == [1, 4, 0]


def test_a_directory_hides_nothing() -> None:
    """Told again, with other permissions say, it leaves what is in it."""
    assert hidden(layer(d=None, d__a=1), layer(d=None)) == [0, 0]
