"""The base class of every expected error: one caused by a user's input or by an answer of AWS.

`str(error)` is a sentence for the user: what happened, why, and what to do next. The command line
prints it and exits with `exit_code`. Any other exception is a bug and keeps its traceback.
"""


class SortboxError(Exception):
    """An expected error; `str(error)` is the sentence that is shown to the user."""

    exit_code = 1
