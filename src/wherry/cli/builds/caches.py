"""`--cache-from` and `--cache-to`: images, caches of registries, directories of this machine."""

import csv
import json
import os
from collections.abc import Sequence

from wherry.cli.builds.outputs import Output
from wherry.cli.failures import CommandFailed
from wherry.cli.images.oci_directories import digest_in_directory
from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches of one build."""

    references: Sequence[str] = ()
    """To look in: images or caches, by name."""
    imports: Sequence[Output] = ()
    """To look in, of other kinds."""
    exports: Sequence[Output] = ()

    def query(self) -> list[tuple[str, str]]:
        """As the engine is told of them."""
        stores = (("cacheimports", self.imports), ("cacheto", self.exports))
        query = [("cachefrom", json.dumps(list(self.references)))] if self.references else []
        query += [
            (name, json.dumps([each.as_document() for each in given]))
            for name, given in stores
            if given
        ]
        return query

    @property
    def layouts(self) -> dict[str, str]:
        """The directories that the engine is to look in, by the names that it knows them under."""
        return {f"local:{each.place}": each.place for each in self.imports if each.place}


def read_caches(found_in: Sequence[str], left_in: Sequence[str]) -> Caches:
    """Raises: CommandFailed."""
    given = [part for each in found_in for part in ([each] if "=" in each else each.split(","))]
    sources = [source for each in given if (source := _source(each))]
    is_plain = [each.kind == "registry" and set(each.attributes) == {"ref"} for each in sources]
    return Caches(
        references=[
            each.attributes["ref"] for each, plain in zip(sources, is_plain, strict=True) if plain
        ],
        imports=[each for each, plain in zip(sources, is_plain, strict=True) if not plain],
        exports=[_target(each) for each in left_in],
    )


def _source(given: str) -> Output | None:
    """None for a directory where no build has left a cache yet, as buildx has it."""
    cache = _cache(given)
    if cache.kind != "local":
        return cache
    place = os.path.abspath(_needed(cache, "src", given))
    if not os.path.isfile(f"{place}/index.json"):
        return None
    tag = cache.attributes.get("tag", "latest")
    digest = cache.attributes.get("digest") or digest_in_directory(place, tag)
    return Output("local", {"src": place, "digest": digest}, place)


def _target(given: str) -> Output:
    cache = _cache(given)
    if cache.kind != "local":
        return cache
    place = os.path.abspath(_needed(cache, "dest", given))
    return Output("local", {**cache.attributes, "dest": place}, place)


def _cache(given: str) -> Output:
    """`type=KIND,ref=NAME,...`, or a name alone."""
    if "=" not in given:
        return Output("registry", {"ref": given})
    attributes = dict(part.partition("=")[::2] for part in next(csv.reader([given]), []))
    kind = attributes.pop("type", "")
    if not kind:
        raise CommandFailed(f"type required form> {given!r}")
    return Output(kind, attributes)


def _needed(cache: Output, name: str, given: str) -> str:
    value = cache.attributes.get(name, "")
    if not value:
        raise CommandFailed(f"{name} is required for a local cache: {given}")
    return value
