"""What a daemon may ask of a container, by the verbs of the control protocol."""

import os
from collections.abc import Mapping

from wherry.kit.messages import Message
from wherry.shim.container import Container
from wherry.shim.control import Verb
from wherry.shim.protocol import ENDING, EXEC_ORDER, Refused


def verbs_of(container: Container, shim_pid: int) -> Mapping[str, Verb]:
    """The verbs of one container; `shim_pid` is the keeper's."""

    def attach(message: Message, descriptors: list[int]) -> None:
        if not descriptors:
            raise Refused("refused", "attach without a stream")
        container.attach(
            message["session"],
            os.dup(descriptors[0]),
            stdin=message["stdin"],
            stdout=message["stdout"],
            stderr=message["stderr"],
        )

    def state(_message: Message, _descriptors: list[int]) -> Message:
        ending, sessions = container.ending, container.sessions
        return {
            "pid": container.pid,
            "shim_pid": shim_pid,
            "has_started": container.has_started,
            "ending": None if ending is None else ENDING.to_json(ending),
            "endings": {name: ENDING.to_json(each) for name, each in sessions.endings().items()},
            "running": sessions.running(),
        }

    return {
        "start": lambda _message, _descriptors: container.start(),
        "discard": lambda _message, _descriptors: container.discard(),
        "signal": lambda message, _descriptors: container.signal(message["number"]),
        "pause": lambda _message, _descriptors: container.pause(),
        "resume": lambda _message, _descriptors: container.resume(),
        "resize": lambda message, _descriptors: container.resize(
            message["session"], message["rows"], message["columns"]
        ),
        "attach": attach,
        "exec": lambda message, _descriptors: {
            "pid": container.exec(EXEC_ORDER.from_json(message, "exec"))
        },
        "end": lambda message, _descriptors: container.end(message["session"]),
        "state": state,
        "collect": lambda message, _descriptors: container.collect(message["session"]),
        "delete": lambda _message, _descriptors: container.delete(),
    }
