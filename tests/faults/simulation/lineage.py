"""Lambda's recursion detection: a chain of requests that calls one function too often is cut.

"If your function is invoked approximately 16 times in the same chain of requests, then Lambda
automatically stops the next function invocation in that request chain", and a message of SQS goes
to the dead letters (Lambda developer guide, "Use Lambda recursive loop detection to prevent
infinite loops"). A message that a function sends goes on with the chain of the one it works on; S3,
EventBridge and the schedule begin new ones; a retry is no further link.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE

MOST_LINKS = 16
FUNCTIONS = {INBOX: "onUpload", BACKLOG: "onUpload", FOLDER: "onFolder", PAGE: "onPage"}

Chain = Mapping[str, int]
"""How often each function is in it."""


@dataclass
class Lineage:
    """`allowed`: functions whose RecursiveLoop is Allow."""

    allowed: frozenset[str] = frozenset({"onFolder", "onPage"})
    longest: dict[str, int] = field(default_factory=dict)
    cut: int = 0
    _chains: list[Chain] = field(default_factory=list)

    @property
    def current(self) -> Chain:
        """What a message that is sent now goes on with."""
        return self._chains[-1] if self._chains else {}

    def is_cut(self, url: str, chain: Chain) -> bool:
        """Whether the function may not be invoked with it."""
        function = FUNCTIONS[url]
        too_long = chain.get(function, 0) >= MOST_LINKS and function not in self.allowed
        self.cut += too_long
        return too_long

    @contextmanager
    def link(self, url: str, chain: Chain) -> Iterator[None]:
        """Within, the queue's function works on a message of the chain."""
        function = FUNCTIONS[url]
        longer = {**chain, function: chain.get(function, 0) + 1}
        self.longest[function] = max(self.longest.get(function, 0), longer[function])
        self._chains.append(longer)
        try:
            yield
        finally:
            self._chains.pop()
