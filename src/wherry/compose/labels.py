"""The labels by which Compose knows its own: what it made, for which project, from which text.

They are the whole memory of a project. Nothing is kept on disk, so that what one release or one
tool has started is seen and continued by another.
"""

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"
DEPENDENCIES = "com.docker.compose.depends_on"
IMAGE = "com.docker.compose.image"
CONFIG_FILES = "com.docker.compose.project.config_files"
WORKING_DIRECTORY = "com.docker.compose.project.working_dir"
ENVIRONMENT_FILE = "com.docker.compose.project.environment_file"
REPLACES = "com.docker.compose.replace"
SLUG = "com.docker.compose.slug"
NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"
VERSION = "com.docker.compose.version"

COMPOSE_VERSION = "2.40.3"
"""The release of Compose whose behaviour this is."""
