"""`completion`: what the Tab key offers, for bash, zsh and fish.

The scripts know nothing of the commands: they hand the words before the cursor to
`wherry __complete`, which prints one candidate per line, with a tab and a few words about it. So
a command is completed as soon as it is in the catalogue, and names of containers and images are
those that there are. An engine that doesn't answer is no reason to wait or to start one.
"""

from collections.abc import Callable, Iterator, Sequence

from wherry.cli import catalogue
from wherry.cli.command import ANY, ONE, Command
from wherry.cli.entry import GLOBAL_FLAGS, load_command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, text, texts
from wherry.client.errors import ClientError

Candidate = tuple[str, str]
"""A word, and what it is."""

_BASH = r"""# bash completion of wherry; put this into ~/.bashrc:
#   source <(wherry completion bash)
_wherry() {
    local line="${COMP_LINE:0:COMP_POINT}" words current cut="" word
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[-1]}"
    # Bash takes `a:b` and `a=b` for two words: what it has taken already is cut off.
    [[ $current == *[:=]* ]] && cut="${current%"${current##*[:=]}"}"
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        [[ $word == "$current"* ]] && COMPREPLY+=("${word#"$cut"}")
    done < <(wherry __complete "${words[@]:1}" 2>/dev/null)
}
complete -o bashdefault -o default -F _wherry wherry
"""

_ZSH = r"""#compdef wherry
# zsh completion of wherry; put this into ~/.zshrc, after compinit:
#   source <(wherry completion zsh)
_wherry() {
    local -a found
    local word about
    while IFS=$'\t' read -r word about; do
        found+=("${word//:/\\:}:$about")
    done < <(wherry __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then
        _describe wherry found
    else
        _files
    fi
}
compdef _wherry wherry
"""

_FISH = r"""# fish completion of wherry; put this into ~/.config/fish/completions/wherry.fish
function __wherry_complete
    set -l words (commandline -opc) (commandline -ct)
    wherry __complete $words[2..-1] 2>/dev/null
end
complete -c wherry -a '(__wherry_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(session: Session, parsed: Parsed) -> int:
    """Print the script of a shell."""
    shell = parsed.arguments[0]
    if shell not in SCRIPTS:
        raise CommandFailed(f"no completion for {shell!r}: choose from {', '.join(SCRIPTS)}")
    session.out.write(SCRIPTS[shell])
    return 0


def show_candidates(session: Session, parsed: Parsed) -> int:
    """`__complete`: a line for each word that could stand where the last one is."""
    for word, about in candidates(session, parsed.arguments):
        session.say(f"{word}\t{about}" if about else word)
    return 0


def candidates(session: Session, words: Sequence[str]) -> list[Candidate]:
    """What could stand in the place of the last word, which may be empty."""
    *before, current = words or [""]
    rest = _from_command(before)
    path, arguments = _command_of(rest)
    if path:
        found = _of_command(session, path, arguments, current)
    elif current.startswith("-") and not rest:
        found = _flags(GLOBAL_FLAGS)
    elif len(rest) <= 1:
        found = _commands(rest[0] if rest else "")
    else:
        found = iter(())
    return sorted({each for each in found if each[0].startswith(current)})


def _command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The longest path of a command at the beginning, and the words after it."""
    for length in (2, 1):
        path = " ".join(words[:length])
        path = catalogue.ALIASES.get(path, path)
        if len(words) >= length and path in catalogue.ENTRIES:
            return path, list(words[length:])
    return "", list(words)


def _from_command(words: Sequence[str]) -> list[str]:
    """The words from the first one that is no flag of the program's, nor the value of one."""
    takes_value = _flags_with_values(GLOBAL_FLAGS)
    skips = False
    for at, word in enumerate(words):
        if skips:
            skips = False
        elif not word.startswith("-"):
            return list(words[at:])
        else:
            skips = word in takes_value
    return []


def _flags_with_values(flags: Sequence[Flag]) -> set[str]:
    return {
        word
        for each in flags
        if each.kind.without_value is None
        for word in (f"--{each.name}", f"-{each.short}")
    }


def _without_flags(words: Sequence[str], flags: Sequence[Flag]) -> list[str]:
    """The words that are neither flags nor values of flags."""
    takes_value = _flags_with_values(flags)
    kept: list[str] = []
    skips = False
    for word in words:
        if skips:
            skips = False
        elif word.startswith("-") and len(word) > 1:
            skips = word in takes_value
        else:
            kept.append(word)
    return kept


def _commands(group: str) -> Iterator[Candidate]:
    prefix = f"{group} " if group else ""
    for path, entry in catalogue.ENTRIES.items():
        name = path.removeprefix(prefix)
        if path.startswith(prefix) and " " not in name:
            yield name, entry.summary
    if not group:
        for name, summary in catalogue.GROUPS.items():
            if any(path.startswith(f"{name} ") for path in catalogue.ENTRIES):
                yield name, summary


def _flags(flags: Sequence[Flag]) -> Iterator[Candidate]:
    for each in flags:
        if not each.is_hidden:
            yield f"--{each.name}", each.usage
    yield "--help", "Print usage"


def _of_command(
    session: Session, path: str, arguments: Sequence[str], current: str
) -> Iterator[Candidate]:
    command = load_command(path)
    if current.startswith("-"):
        return _flags(command.flags)
    if arguments and arguments[-1] in _flags_with_values(command.flags):
        return iter(())  # The value of a flag: a file or a word of the user's own.
    given = len(_without_flags(arguments, command.flags))
    if command.arguments.most >= 0 and given >= command.arguments.most:
        return iter(())
    offer = _OFFERS.get(path) or _OFFERS.get(path.rpartition(" ")[2])
    if offer is None or (given and path.rpartition(" ")[2] in _ONLY_FIRST):
        return iter(())
    try:
        return iter(list(offer(session)))
    except (ClientError, OSError, CommandFailed):
        return iter(())


# -- names -----------------------------------------------------------------------------------


def _containers(session: Session, *states: str) -> Iterator[Candidate]:
    filters = {"status": list(states)} if states else None
    for each in session.client.containers.list(all_states=True, filters=filters):
        for name in texts(each, "Names"):
            yield name.removeprefix("/"), f"{text(each, 'Image')}, {text(each, 'Status')}"


def _all(session: Session) -> Iterator[Candidate]:
    return _containers(session)


def _running(session: Session) -> Iterator[Candidate]:
    return _containers(session, "running", "paused")


def _startable(session: Session) -> Iterator[Candidate]:
    return _containers(session, "created", "exited")


def _images(session: Session) -> Iterator[Candidate]:
    for each in session.client.images.list():
        for tag in texts(each, "RepoTags"):
            if tag != "<none>:<none>":
                yield tag, text(each, "Id")[7:19]


def _named(documents: Sequence[Document], about: str) -> Iterator[Candidate]:
    for each in documents:
        yield text(each, "Name"), text(each, about)


def _networks(session: Session) -> Iterator[Candidate]:
    return _named(session.client.networks.list(), "Driver")


def _contexts(session: Session) -> Iterator[Candidate]:
    from wherry.cli.configuration import configuration_directory
    from wherry.client.contexts import ContextStore

    yield "default", ""
    for each in ContextStore(configuration_directory(session.config_directory)).all():
        yield each.name, each.address


def _everything(session: Session) -> Iterator[Candidate]:
    yield from _all(session)
    yield from _images(session)
    yield from _networks(session)


_ONLY_FIRST = frozenset({"run", "create", "exec", "rename", "top", "port", "tag"})
"""After its first argument, what such a command takes is no name that we know."""

_OFFERS: dict[str, Callable[[Session], Iterator[Candidate]]] = {
    **dict.fromkeys(
        ("attach", "exec", "kill", "pause", "port", "stats", "stop", "top", "unpause"), _running
    ),
    **dict.fromkeys(
        ("commit", "diff", "explain", "export", "logs", "rename", "restart", "rm", "update",
         "wait", "why", "container inspect"),
        _all,
    ),
    "start": _startable,
    **dict.fromkeys(
        ("create", "history", "push", "rmi", "run", "save", "tag", "image inspect", "image rm"),
        _images,
    ),
    **dict.fromkeys(("network inspect", "network rm"), _networks),
    **{
        f"context {verb}": _contexts for verb in ("export", "inspect", "rm", "update", "use")
    },
    "inspect": _everything,
    "completion": lambda _session: iter((name, "") for name in SCRIPTS),
}  # fmt: skip

CANDIDATES = Command("[WORD...]", "Print what could stand at the cursor", ANY, show_candidates)
COMPLETION = Command(
    shape="bash|zsh|fish",
    summary="Print what makes the Tab key know the commands",
    arguments=ONE,
    run=run,
)
