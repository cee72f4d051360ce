"""`plugin create`, `install`, `ls`, `enable`, `disable`, `set`, `rm`, `push`, `upgrade`."""

import os
from collections.abc import Iterator

from wherry.cli import rows
from wherry.cli.command import NONE, ONE, ONE_OR_MORE, TWO, TWO_OR_MORE, Arguments, Command
from wherry.cli.containers.verbs import for_each
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import FILTER, INT, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.images.references import DEFAULT_TAG, parse_reference
from wherry.cli.images.registry_access import login_for
from wherry.cli.local_trees import pack
from wherry.cli.progress import show_progress
from wherry.cli.session import Session
from wherry.cli.system.pruning import confirmed
from wherry.cli.texts import ellipsis, short_id
from wherry.client.credentials import Login
from wherry.client.documents import Document, child, flag, text, texts

_RAW = """\
plugin_id: {{.ID}}
name: {{.Name}}
description: {{.Description}}
enabled: {{.Enabled}}
"""
_TABLE = ("ID", "Name", "Description", "Enabled")


def create(session: Session, parsed: Parsed) -> int:
    """Make a plugin of a directory, and print its name."""
    name, place = parsed.arguments
    _reference(name)
    for wanted in ("config.json", "rootfs"):
        if not os.path.exists(os.path.join(place, wanted)):
            raise CommandFailed(f"stat {os.path.join(place, wanted)}: no such file or directory")
    if not os.path.isdir(os.path.join(place, "rootfs")):
        raise CommandFailed("rootfs is not a directory")
    pieces = pack(place, ".")
    session.client.plugins.create(name, _gzipped(pieces) if parsed.is_on("compress") else pieces)
    session.say(name)
    return 0


def install(session: Session, parsed: Parsed) -> int:
    """Install a plugin from a registry, and enable it."""
    remote, wishes = _reference(parsed.arguments[0]), parsed.arguments[1:]
    name = _reference(parsed.text("alias")) if parsed.text("alias") else remote
    login = _login(session, remote)
    plugins = session.client.plugins
    allowed = _allowed(session, parsed, remote, login)
    show_progress(plugins.pull(remote, name, allowed, login), session.out)
    if wishes:
        plugins.set(name, wishes)
    if not parsed.is_on("disable"):
        plugins.enable(name, timeout_s=0)
    session.say(f"Installed plugin {parsed.arguments[0]}")
    return 0


def upgrade(session: Session, parsed: Parsed) -> int:
    """Put another version in the place of a plugin that is disabled."""
    name, *given = parsed.arguments
    found = _plugin(session, name)
    if flag(found, "Enabled"):
        raise CommandFailed("the plugin must be disabled before upgrading")
    old = text(found, "PluginReference")
    remote = _reference(given[0]) if given else old
    if not parsed.is_on("skip-remote-check") and _name_of(remote) != _name_of(old):
        question = "Plugin images do not match, are you sure?"
        if not confirmed(session, question):
            raise CommandFailed("canceling upgrade request")
    login = _login(session, remote)
    allowed = _allowed(session, parsed, remote, login)
    show_progress(session.client.plugins.upgrade(name, remote, allowed, login), session.out)
    session.say(f"Upgraded plugin {name} to {remote}")
    return 0


def list_(session: Session, parsed: Parsed) -> int:
    """List plugins."""
    found = session.client.plugins.list(filters_of(parsed))
    columns = _columns(truncates=not parsed.is_on("no-trunc"))
    form = parsed.text("format") or session.setting("pluginsFormat")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, found, columns, _TABLE, form=form, is_quiet=is_quiet, raw=_RAW)
    return 0


def enable(session: Session, parsed: Parsed) -> int:
    """Run a plugin."""
    timeout_s = parsed.number("timeout", 30)
    if timeout_s < 0:
        raise CommandFailed(f"negative timeout {timeout_s} is invalid")
    session.client.plugins.enable(parsed.arguments[0], timeout_s=timeout_s)
    session.say(parsed.arguments[0])
    return 0


def disable(session: Session, parsed: Parsed) -> int:
    """End a plugin."""
    session.client.plugins.disable(parsed.arguments[0], is_forced=parsed.is_on("force"))
    session.say(parsed.arguments[0])
    return 0


def set_(session: Session, parsed: Parsed) -> int:
    """Change settings of a plugin that is disabled."""
    session.client.plugins.set(parsed.arguments[0], parsed.arguments[1:])
    return 0


def push(session: Session, parsed: Parsed) -> int:
    """Send a plugin to a registry."""
    name = _reference(parsed.arguments[0])
    show_progress(session.client.plugins.push(name, _login(session, name)), session.out)
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove plugins."""
    plugins, is_forced = session.client.plugins, parsed.is_on("force")
    return for_each(
        session, parsed.arguments, lambda name: plugins.remove(name, is_forced=is_forced)
    )


def _allowed(session: Session, parsed: Parsed, remote: str, login: Login) -> list[Document]:
    """What the plugin wants, once the user has agreed. Raises: CommandFailed."""
    wanted = session.client.plugins.privileges(remote, login)
    if not wanted or parsed.is_on("grant-all-permissions"):
        return wanted
    lines = [f'Plugin "{remote}" is requesting the following privileges:']
    lines += [f" - {text(each, 'Name')}: [{' '.join(texts(each, 'Value'))}]" for each in wanted]
    if not confirmed(session, "\n".join([*lines, "Do you grant the above permissions?"])):
        raise CommandFailed("permission denied while installing plugin " + remote)
    return wanted


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    import zlib

    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _plugin(session: Session, name: str) -> Document:
    import json

    found: Document = json.loads(session.client.plugins.inspect_raw(name))
    return found


def _reference(name: str) -> str:
    """A name with its tag. Raises: CommandFailed."""
    try:
        read = parse_reference(name)
    except ValueError as problem:
        raise CommandFailed(f"error parsing name: {problem}") from None
    if read.digest:
        return f"{read.familiar_name}@{read.digest}"
    return f"{read.familiar_name}:{read.tag or DEFAULT_TAG}"


def _name_of(reference: str) -> str:
    return parse_reference(reference).familiar_name if reference else ""


def _login(session: Session, reference: str) -> Login:
    return login_for(session, parse_reference(reference).domain)


def _columns(*, truncates: bool) -> rows.Columns[Document]:
    column = rows.Column[Document]

    def identifier(plugin: Document) -> str:
        return short_id(text(plugin, "Id")) if truncates else text(plugin, "Id")

    def description(plugin: Document) -> str:
        words = " ".join(text(child(plugin, "Config"), "Description").splitlines())
        return ellipsis(words, 45) if truncates else words

    return rows.Columns(
        type_name="formatter.pluginContext",
        columns=(
            column("ID", "ID", identifier),
            column("Name", "NAME", lambda plugin: text(plugin, "Name")),
            column("Description", "DESCRIPTION", description),
            column(
                "Enabled", "ENABLED", lambda plugin: "true" if flag(plugin, "Enabled") else "false"
            ),
            column(
                "PluginReference",
                "PLUGIN REFERENCE",
                lambda plugin: text(plugin, "PluginReference"),
            ),
        ),
    )


_GRANT = Flag("grant-all-permissions", SWITCH, "Grant all that the plugin wants")
_TRUST = Flag(
    "disable-content-trust",
    SWITCH,
    "Skip image verification; there is no other way here",
    default="true",
    is_hidden=True,
)
CREATE = Command(
    "PLUGIN PLUGIN-DATA-DIR",
    "Create a plugin of a directory with config.json and rootfs",
    TWO,
    create,
    (Flag("compress", SWITCH, "Compress what is sent, with gzip"),),
)
INSTALL = Command(
    "PLUGIN [KEY=VALUE...]",
    "Install a plugin from a registry",
    ONE_OR_MORE,
    install,
    (
        Flag("alias", STRING, "Local name for the plugin"),
        Flag("disable", SWITCH, "Do not enable it"),
        _TRUST,
        _GRANT,
    ),
)
UPGRADE = Command(
    "PLUGIN [REMOTE]",
    "Put another version in the place of a plugin",
    Arguments(1, 2),
    upgrade,
    (
        _TRUST,
        _GRANT,
        Flag("skip-remote-check", SWITCH, "Do not ask whether both are the same plugin"),
    ),
)
LIST = Command(
    "",
    "List plugins",
    NONE,
    list_,
    (
        Flag("filter", FILTER, 'Show only what matches ("enabled=true")', short="f"),
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("no-trunc", SWITCH, "Do not cut ids and descriptions"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
    ),
)
ENABLE = Command(
    "PLUGIN",
    "Run a plugin",
    ONE,
    enable,
    (Flag("timeout", INT, "Seconds to wait for its socket", default="30"),),
)
DISABLE = Command(
    "PLUGIN",
    "End a plugin",
    ONE,
    disable,
    (Flag("force", SWITCH, "Also one that is in use", short="f"),),
)
SET = Command("PLUGIN KEY=VALUE [KEY=VALUE...]", "Change settings of a plugin", TWO_OR_MORE, set_)
PUSH = Command("PLUGIN[:TAG]", "Send a plugin to a registry", ONE, push, (_TRUST,))
REMOVE = Command(
    "PLUGIN [PLUGIN...]",
    "Remove one or more plugins",
    ONE_OR_MORE,
    remove,
    (Flag("force", SWITCH, "Also one that is enabled", short="f"),),
)
