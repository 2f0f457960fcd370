"""Ctrl-C: what a command says of the things that go on, or stay, without it.

Whoever starts something that outlives the command says so with `leaves`, before it is started, and
again when it has changed. Whatever ends the command first, the last sentences are the true ones.
"""

import signal
import sys

NOTHING = "Nothing was started."

_left: dict[str, str] = {}


def leaves(what: str, sentence: str) -> None:
    """From here on, an interrupt leaves `what` as the sentence says; empty: leaves nothing of it.

    A dozen names at most, for the whole life of a command.
    """
    _left[what] = sentence


def sentence() -> str:
    """What an interrupted command says."""
    return f"Interrupted. {' '.join(filter(None, _left.values())) or NOTHING}"


_HELD = {signal.SIGINT, signal.SIGALRM}
_AGAIN_SECONDS = 0.01


def hold() -> None:
    """Until `listen`, also in the program that takes this process over, Ctrl-C waits."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def listen() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, except in a background process of a shell.

    Where Python drops the exception, in a destructor or a callback of a weak reference (importing
    has one), it is raised again by an alarm.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        sys.unraisablehook = _raise_again
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def _raise_again(dropped: "sys.UnraisableHookArgs") -> None:
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(dropped)


def end_at_once() -> None:
    """A second Ctrl-C, while the command ends, kills it without a traceback."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
