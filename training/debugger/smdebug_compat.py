"""smdebug, SageMaker Debugger's library, imported without its side effects.

It emits warnings on import, and would write its log and tracebacks between the metric lines.
"""

import logging
import warnings
from collections.abc import Callable
from typing import TypeVar

_before = logging.root.manager.disable
logging.disable()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from smdebug.core.modes import ModeKeys
    from smdebug.core.tfevent.event_file_writer import EventFileWriter, EventsWriter
    from smdebug.core.tfevent.event_file_writer import _EventLoggerThread as LoggerThread
    from smdebug.core.utils import error_handling_agent
    from smdebug.exceptions import RuleEvaluationConditionMet
    from smdebug.pytorch import Hook
    from smdebug.rules import Rule
    from smdebug.trials.local_trial import LocalTrial

logging.disable(_before)

__all__ = [
    "EventFileWriter",
    "EventsWriter",
    "Hook",
    "LocalTrial",
    "LoggerThread",
    "ModeKeys",
    "Rule",
    "RuleEvaluationConditionMet",
    "guard",
    "last_error",
    "reset_errors",
]

_caught = error_handling_agent.catch_smdebug_errors()

Call = TypeVar("Call", bound=Callable[..., object])


def guard(call: Call) -> Call:
    """Decorator for calls that must not raise into training: an error disables smdebug."""
    made: Call = _caught(call)
    return made


class _LastError(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.error is None and record.exc_info:  # later errors follow from the first
            self.error = record.exc_info[1]


_kept = _LastError()
_logger = logging.getLogger("smdebug")
_logger.handlers = [_kept]
_logger.setLevel(logging.ERROR)
_logger.disabled = False


def reset_errors() -> None:
    """An error disables smdebug for the rest of the process; a new hook enables it."""
    error_handling_agent.disable_smdebug = False
    _kept.error = None


def last_error() -> BaseException | None:
    """The error that disabled smdebug, if any."""
    return _kept.error if error_handling_agent.disable_smdebug else None
