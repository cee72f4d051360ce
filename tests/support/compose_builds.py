"""A build of the command line as a service of a Compose file."""

import json
from collections.abc import Iterator, Sequence

_LISTS = {
    "--build-arg": "args",
    "--label": "labels",
    "--add-host": "extra_hosts",
    "--cache-from": "cache_from",
    "--build-context": "additional_contexts",
    "--ssh": "ssh",
    "--allow": "entitlements",
    "--platform": "platforms",
}
_TEXTS = {
    "-f": "dockerfile",
    "--target": "target",
    "--network": "network",
    "--shm-size": "shm_size",
}
_SWITCHES = {"--no-cache": "no_cache", "--pull": "pull"}
_OTHERS = {"-t", "--secret", "--ulimit"}


def has_words_for(flags: Sequence[str]) -> bool:
    """Whether a Compose file can say what flags say."""
    known = {*_LISTS, *_TEXTS, *_SWITCHES, *_OTHERS}
    return all(name in known for name, _value in _pairs(flags))


def compose_file(flags: Sequence[str]) -> str:
    """A project with one service, which is built as flags say."""
    build: dict[str, object] = {"context": "."}
    service, secrets = {"build": build}, dict[str, object]()
    for name, value in _pairs(flags):
        if name in _LISTS:
            build.setdefault(_LISTS[name], [])
            build[_LISTS[name]] += [value]  # type: ignore[operator]
        elif name in _TEXTS:
            build[_TEXTS[name]] = value
        elif name in _SWITCHES:
            build[_SWITCHES[name]] = True
        elif name == "--ulimit":
            kind, _equals, limits = value.partition("=")
            soft, hard = map(int, limits.split(":"))
            build["ulimits"] = {kind: {"soft": soft, "hard": hard}}
        elif name == "--secret":
            words = dict(word.split("=", 1) for word in value.split(","))
            build["secrets"] = [words["id"]]
            is_of_file = "src" in words
            place = "file" if is_of_file else "environment"
            secrets[words["id"]] = {place: words["src" if is_of_file else "env"]}
        else:
            service["image"] = value  # type: ignore[assignment]
    project = {"name": "case", "services": {"case": service}, "secrets": secrets}
    # In a Compose file a dollar is the beginning of a variable.
    return json.dumps(project).replace("$", "$$")


def _pairs(flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    words = iter(flags)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and name not in _SWITCHES:
            value = next(words, "")
        yield name, value
