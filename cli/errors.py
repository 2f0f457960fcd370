"""What ends a command early, and the exit code that a script sees.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; one sentence on standard error says why and what to do next |
| 2 | the command line itself is wrong: an unknown option, value or stage name |
| 3 | done, and the answer is no: a check found something missing, a gate refused a promotion |
| 130 | interrupted by Ctrl-C |
"""

import sys
from collections.abc import Callable
from typing import NoReturn

import click

from domain.errors import SortboxError
from domain.foreign import visible_lines
from infra import interrupt
from infra.sentences import explain

FAILED, REFUSED, INTERRUPTED = 1, 3, 130


def run(command: Callable[[], object]) -> NoReturn:
    """Run `command` and exit. Only a defect of ours ends in a traceback."""
    try:
        command()
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        interrupt.end_at_once()
        fail(f"\n{interrupt.sentence()}", INTERRUPTED)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        fail(sentence, error.exit_code if isinstance(error, SortboxError) else FAILED)
    sys.exit(0)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    click.echo(visible_lines(sentence), err=True)
    sys.exit(code)
