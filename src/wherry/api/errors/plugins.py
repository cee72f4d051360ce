"""Plugins."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import plugins as kinds

RULES: Rules = {
    kinds.PluginNotFound: Rule(404, lambda e: f'plugin "{e.name}" not found'),
    kinds.PluginExists: Rule(409, lambda e: f'plugin "{e.name}" already exists'),
    kinds.PluginEnabled: Rule(
        409,
        lambda e: f"{e.why}{': ' if e.why else ''}plugin '{e.name}' is already enabled",
    ),
    kinds.PluginDisabled: Rule(409, lambda e: f"plugin '{e.name}' is already disabled"),
    kinds.PluginInUse: Rule(409, lambda e: f'plugin "{e.name}" is in use'),
    kinds.PluginPrivilegesWrong: Rule(403, lambda e: "incorrect privileges"),
    kinds.PluginFailed: Rule(
        500, lambda e: f"error while calling plugin {e.name}: {e.method}: {e.complaint}"
    ),
}
