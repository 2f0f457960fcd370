"""The root of every error that a person can cause or AWS can answer.

An error below it carries a sentence for the person at the terminal: what happened, why, and what to
do next. The command line prints that sentence and ends with `exit_code`; anything else that is
raised is a defect of ours and keeps its traceback.
"""


class SortboxError(Exception):
    """The sentence is `str(error)`."""

    exit_code = 1
