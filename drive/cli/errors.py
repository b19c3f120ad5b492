"""What a command says instead of a traceback."""


class CommandError(Exception):
    """A command cannot go on for a reason that lies outside of it; the message says what to do."""
