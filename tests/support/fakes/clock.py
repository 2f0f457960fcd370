"""A monotonic clock that a test moves."""


class MonotonicClock:
    """`now` is in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now
