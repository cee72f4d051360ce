"""Compose files, and the project that they mean together.

I own: reading Compose files as Compose v2 does (`loading`), the project that they mean
(`project`), its text (`rendering`), what an engine has of it (`observing`), the plan that leads
from one to the other (`planning`, `ending`), and its execution (`executing`, `performing`).
I never: parse flags, print, keep anything on disk, or touch the kernel. The engine is reached
through `client` alone, so that it may be anybody's.
On disk and in the kernel I leave: nothing.
Called by: cli, for `wherry compose` alone, since YAML takes longer to import than all of `ps`; and
pods, whose manifests are YAML too.

    load -> interpolate -> merge -> normalise -> application ─┐
                                                              ├─> plan -> execute
                                    engine -> observed state ─┘
"""

from wherry.compose import labels
from wherry.compose.application import Application, application
from wherry.compose.config_hashes import service_hash
from wherry.compose.differences import diverged_volumes
from wherry.compose.ending import DownWishes, plan_down, plan_remove, plan_stop, recalled
from wherry.compose.errors import ComposeError
from wherry.compose.executing import OutOfPatience, Report, Skipped, Told, execute
from wherry.compose.imaging import (
    ImageWishes,
    build_order,
    plan_build,
    plan_images,
    plan_pull,
    plan_push,
    with_sources,
)
from wherry.compose.labels import COMPOSE_VERSION
from wherry.compose.loading import load_project
from wherry.compose.making import Making, OneOff
from wherry.compose.observing import (
    Observed,
    SeenContainer,
    exit_code,
    observe,
    present_images,
    project_containers,
    seen,
)
from wherry.compose.one_offs import RunWishes, one_off_service
from wherry.compose.performing import Clients, Performer, run_hook
from wherry.compose.planning import Recreate, UpWishes, plan_up
from wherry.compose.project import Project
from wherry.compose.rendering import as_json, as_yaml, escaped, json_order
from wherry.compose.service_limits import size_of
from wherry.compose.short_words import split_words
from wherry.compose.starting import plan_restart, plan_start, plan_verb
from wherry.compose.steps import (
    STARTED,
    Action,
    BuildImage,
    Plan,
    PullImage,
    PushImage,
    Verb,
    awaiting,
)
from wherry.compose.variables import variables_in
from wherry.compose.watching import Trigger, changes_between, look_at, triggers_of
from wherry.compose.whereabouts import Wishes
from wherry.compose.yaml_source import read_documents
from wherry.compose.yaml_traps import traps_in

__all__ = [
    "COMPOSE_VERSION",
    "STARTED",
    "Action",
    "Application",
    "BuildImage",
    "Clients",
    "ComposeError",
    "DownWishes",
    "ImageWishes",
    "Making",
    "Observed",
    "OneOff",
    "OutOfPatience",
    "Performer",
    "Plan",
    "Project",
    "PullImage",
    "PushImage",
    "Recreate",
    "Report",
    "RunWishes",
    "SeenContainer",
    "Skipped",
    "Told",
    "Trigger",
    "UpWishes",
    "Verb",
    "Wishes",
    "application",
    "as_json",
    "as_yaml",
    "awaiting",
    "build_order",
    "changes_between",
    "diverged_volumes",
    "escaped",
    "execute",
    "exit_code",
    "json_order",
    "labels",
    "load_project",
    "look_at",
    "observe",
    "one_off_service",
    "plan_build",
    "plan_down",
    "plan_images",
    "plan_pull",
    "plan_push",
    "plan_remove",
    "plan_restart",
    "plan_start",
    "plan_stop",
    "plan_up",
    "plan_verb",
    "present_images",
    "project_containers",
    "read_documents",
    "recalled",
    "run_hook",
    "seen",
    "service_hash",
    "size_of",
    "split_words",
    "traps_in",
    "triggers_of",
    "variables_in",
    "with_sources",
]
