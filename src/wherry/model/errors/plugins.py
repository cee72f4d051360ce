"""Failures of plugins, found or installed."""

from wherry.model.errors import AlreadyExists, Broken, Conflict, Forbidden, NotFound


class PluginNotFound(NotFound):
    """No plugin of this name, or none that does what is wanted."""

    name: str


class PluginExists(AlreadyExists):
    """A plugin was to get a name that another one has."""

    name: str


class PluginEnabled(Conflict):
    """A plugin runs, and the verb is for those that don't."""

    name: str
    why: str = ""
    """What the verb has to say of it."""


class PluginDisabled(Conflict):
    """A plugin does not run."""

    name: str


class PluginInUse(Conflict):
    """Something that exists is a plugin's."""

    name: str


class PluginPrivilegesWrong(Forbidden):
    """What was allowed is not exactly what a plugin wants."""


class PluginFailed(Broken):
    """A plugin can't be reached, answers nonsense, or complains."""

    name: str
    method: str
    complaint: str
