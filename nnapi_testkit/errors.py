"""The one exception that a user is meant to read."""

__all__ = ["KitError"]


class KitError(Exception):
    """Something the user can mend.

    The message is one line that says what is wrong and what to do; command line and pytest plugin
    print it without a traceback and leave with the exit code for errors.
    """
