"""The one exception whose text is meant for the user."""


class UserError(ValueError):
    """Bad input: the text says what came, what was due and what to do.

    The command line prints it as one line on stderr; a widget shows it in its error line.
    Anything else that escapes is a fault of ours and keeps its traceback.
    """
