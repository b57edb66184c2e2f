"""The one exception that means: the user's input is wrong."""


class InputError(ValueError):
    """Bad input. The message is one line: which file or key, what is wrong, what is right."""
