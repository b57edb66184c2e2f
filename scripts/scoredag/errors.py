"""Exceptions that end a job in one line, without a traceback."""


class UserFacingError(Exception):
    """Something that users can mend. The message is one line: what is wrong, and what to do."""


class InputError(UserFacingError, ValueError):
    """Bad input. The message is one line: which file or key, what is wrong, what is right."""
