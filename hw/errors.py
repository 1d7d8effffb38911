"""The base of every error that hardware raises."""


class HardwareError(Exception):
    """Something that a camera or a stage could not do; the message says what, and the cure."""
