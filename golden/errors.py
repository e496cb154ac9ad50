"""The one exception for what a user of the project did wrong."""


class InputError(Exception):
    """A file, an option or an argument is not acceptable.

    The message is one line that names the thing, the rule and the value; it starts in lower case
    and has no full stop, so that a command line can print it after ``error:`` as it is.
    """
