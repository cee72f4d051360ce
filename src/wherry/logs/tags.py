"""`--log-opt tag`: the template that names a container to a receiver.

Docker takes any Go template; in use are fields of the container, now and then a label and a
change of case. That much is here, and everything else is refused by name.
"""

import json
import re
from collections.abc import Callable, Mapping

from wherry.kit.values import dataclass

DEFAULT_TAG = "{{.ID}}"

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD = re.compile(r"\.(\w+)")
_INDEX = re.compile(r"index\s+\.(Config|ContainerLabels)\s+\"([^\"]*)\"")
_CALL = re.compile(r"(\w+)\s+\.(\w+)")
_FUNCTIONS: Mapping[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps(text, ensure_ascii=False),
    "lower": str.lower,
    "print": str,
    "println": lambda text: f"{text}\n",
    "title": str.title,
    "upper": str.upper,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFields:
    """What a template can name."""

    container_id: str
    name: str
    image_id: str
    image_name: str
    command: str
    labels: Mapping[str, str]
    options: Mapping[str, str]
    daemon_name: str = "docker"

    def field(self, name: str) -> str:
        """Raises: ValueError for a field that Docker does not have either."""
        digest = self.image_id.removeprefix("sha256:")
        fields = {
            "ID": self.container_id[:12],
            "FullID": self.container_id,
            "ContainerID": self.container_id,
            "Name": self.name,
            "ContainerName": f"/{self.name}",
            # Docker cuts the id with its algorithm: `sha256:abcde`.
            "ImageID": f"sha256:{digest}"[:12],
            "ImageFullID": f"sha256:{digest}",
            "ContainerImageID": f"sha256:{digest}",
            "ImageName": self.image_name,
            "ContainerImageName": self.image_name,
            "Command": self.command,
            "DaemonName": self.daemon_name,
        }
        if name not in fields:
            raise ValueError(
                f'template: log-tag: executing "log-tag" at <.{name}>: can\'t evaluate field '
                f"{name} in type logger.Info"
            )
        return fields[name]


def render_tag(template: str, fields: TagFields) -> str:
    """The text of a template. Raises: ValueError."""
    rendered = _ACTION.sub(lambda action: _value(action.group(1), fields), template)
    if "{{" in _ACTION.sub("", template):
        raise ValueError("template: log-tag:1: unclosed action")
    return rendered


def _value(action: str, fields: TagFields) -> str:
    first, *functions = (part.strip() for part in action.split("|"))
    value = _operand(first, fields)
    for name in functions:
        value = _function(name)(value)
    return value


def _operand(text: str, fields: TagFields) -> str:
    if field := _FIELD.fullmatch(text):
        return fields.field(field.group(1))
    if index := _INDEX.fullmatch(text):
        values = fields.labels if index.group(1) == "ContainerLabels" else fields.options
        return values.get(index.group(2), "")
    if call := _CALL.fullmatch(text):
        return _function(call.group(1))(fields.field(call.group(2)))
    raise ValueError(f"template: log-tag:1: {text!r} is not understood in a tag")


def _function(name: str) -> Callable[[str], str]:
    if name not in _FUNCTIONS:
        raise ValueError(f'template: log-tag:1: function "{name}" not defined')
    return _FUNCTIONS[name]
