"""Compose files, and the project that they mean together.

I own: reading Compose files as Compose v2 does (`loading`), the project that they mean
(`project`), its text (`rendering`), and the hash by which Compose knows whether a container still
is what its service says (`config_hashes`).
I never: speak with an engine, parse flags, or touch the kernel.
On disk and in the kernel I leave: nothing.
Called by: cli, for `wherry compose` alone, since YAML takes longer to import than all of `ps`; and
pods, whose manifests are YAML too.

    load -> interpolate -> merge -> normalise      (plan and execute are to follow)
"""

from wherry.compose.config_hashes import service_hash
from wherry.compose.errors import ComposeError
from wherry.compose.loading import Wishes, load_project
from wherry.compose.project import Project
from wherry.compose.rendering import as_json, as_yaml, escaped, json_order
from wherry.compose.variables import variables_in
from wherry.compose.yaml_source import read_documents

__all__ = [
    "ComposeError",
    "Project",
    "Wishes",
    "as_json",
    "as_yaml",
    "escaped",
    "json_order",
    "load_project",
    "read_documents",
    "service_hash",
    "variables_in",
]
