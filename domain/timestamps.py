"""Times that people and scripts read: `2026-11-22T09:00:00Z`, UTC, to the second.

They sort as text. What only our own code compares within a second (leases, the rows of a page) is
in ISO 8601 too, with fractions.
"""

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Fractions of a second are cut off."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse(text: str) -> datetime:
    """In UTC; also of other forms of ISO 8601, which earlier versions wrote. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
