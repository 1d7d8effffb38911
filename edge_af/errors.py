"""The errors that edge-af raises itself; `hw.errors` has those of the hardware."""


class EdgeAfError(Exception):
    """The base of all of them. The message is one line: what was wrong, and the cure."""


class UserError(EdgeAfError):
    """A mistake in what the user gave; a command prints the message and exits with 2."""


class ModelError(UserError):
    """A model file that is missing, damaged, or does not fit the instrument."""
