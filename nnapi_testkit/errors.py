"""The one exception that a user is meant to read, and what others say in a line of it."""

__all__ = ["KitError", "first_line"]


class KitError(Exception):
    """Something the user can mend.

    The message is one line that says what is wrong and what to do; command line and pytest plugin
    print it without a traceback and leave with the exit code for errors. Where there are several
    things to mend, the message is that one line, and `details` holds a line for each of them.
    """

    details: tuple[str, ...] = ()


def first_line(error: BaseException | None) -> str:
    """Return the first line of what an exception says that is not blank; its type if none is."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
