"""The daemon's own log: lines on standard error, as text or as JSON."""

import json
import logging
import sys

from wherry.kit.timestamps import rfc3339_nano
from wherry.programs.settings import Settings

_LEVELS = {"warn": logging.WARNING, "fatal": logging.CRITICAL}
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _JsonLines(logging.Formatter):
    """One object per line, with the fields that dockerd's have."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as a line."""
        fields = {
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            "source": record.name,
            "time": rfc3339_nano(int(record.created * 1e9)),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def start(settings: Settings) -> None:
    """Begin to log."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(_JsonLines() if is_json else logging.Formatter(_TEXT))
    logging.getLogger().addHandler(handler)
    follow(settings)


def follow(settings: Settings) -> None:
    """Log at the level of the settings, from now on."""
    level = "debug" if settings.is_debug else settings.log_level
    logging.getLogger().setLevel(_LEVELS.get(level, level.upper()))
