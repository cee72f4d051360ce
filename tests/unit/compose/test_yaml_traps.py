"""Scalars that other YAML reads otherwise are told of, each with its line."""

from pathlib import Path

from wherry.compose import Wishes, load_project, traps_in

_FILE = b"""\
services:
  a:
    restart: no
    ports: [80:80, 22:22, "23:23"]
    environment: {NORWAY: no, VERSION: 1.10, EXACT: 1.15, QUOTED: "no", on: off}
    command: yes
x-port: &port 22:21
x-ports: [*port, *port]
"""


def test_each_trap_of_the_course() -> None:
    """Truths, times and floats of chapter 13, in values alone, unquoted alone, once each."""
    told = [(trap.line, trap.problem.partition(";")[0]) for trap in traps_in(_FILE)]
    assert told == [
        (3, 'no is the text "no" here and false to an older YAML'),
        (4, '22:22 is the text "22:22" here and 1342 to an older YAML'),
        (5, "1.10 is the number 1.1, without its last zeros"),
        (5, 'no is the text "no" here and false to an older YAML'),
        (5, 'off is the text "off" here and false to an older YAML'),
        (6, 'yes is the text "yes" here and true to an older YAML'),
        (7, '22:21 is the text "22:21" here and 1341 to an older YAML'),
    ]


def test_deep_and_shared() -> None:
    """What aliases share is looked at once, so that laughing costs nothing."""
    laughs = "a: &a [no]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert len(traps_in(laughs.encode())) == 1


def test_booleans_of_an_older_yaml(tmp_path: Path) -> None:
    """Where a boolean is wanted they are taken for one, with a warning."""
    file = tmp_path / "compose.yaml"
    file.write_text('services: {a: {image: a, init: "On", tty: "n", privileged: "true"}}')
    warnings: list[str] = []
    service = load_project(Wishes(files=[str(file)]), {}, warnings.append).all_services["a"]
    assert (service["init"], service["tty"], service["privileged"]) == (True, False, True)
    assert warnings == [
        f'"{text}" for boolean is not supported by YAML 1.2, please use `{right}`'
        for text, right in (("On", "true"), ("n", "false"))
    ]
