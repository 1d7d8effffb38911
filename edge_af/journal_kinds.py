"""What entries of the history are about; apart, so that the command line starts quickly."""

from typing import Literal

EntryKind = Literal["start", "stop", "focus", "move", "home", "calibrate", "collect", "fault"]
"""`start` and `stop` are of the service, the others of commands and faults."""
