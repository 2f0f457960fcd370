"""Who corrects: the name that is stored beside a correction."""

import getpass
from collections.abc import Callable
from typing import Any

from domain.corrections.form import PERSON_BYTES

SHARED = frozenset({"", "root"})
"""Names behind which anybody may be: the account's own user, as on every local cloud."""


class Person:
    """The caller of AWS; asked once, and again after an error."""

    def __init__(self, sts: Callable[[], Any]) -> None:
        """`sts` returns the client."""
        self._sts = sts
        self._name = ""

    def name(self) -> str:
        """`Developer/anna@example.org` of a role, `anna` of a user.

        GetCallerIdentity needs no permission. Who uses the account's root user, as every local
        cloud does, is named by the account on this computer.
        """
        if not self._name:
            arn = self._sts().get_caller_identity()["Arn"]
            self._name = shorten(arn) or getpass.getuser()[:PERSON_BYTES]
        return self._name


def shorten(arn: str) -> str:
    """The name in an ARN of IAM or STS; empty for one that anybody may be behind."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind in SHARED or not name:
        return ""
    return name if kind == "assumed-role" else name.rpartition("/")[2]
