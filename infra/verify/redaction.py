"""Remove from a report what identifies the account, because users attach reports to issues.

This is the only place that decides what is removed. Everything that is written passes through
`Redaction.document`.
"""

import re
from dataclasses import dataclass, field
from typing import Any

PATTERNS = (
    (re.compile(r"arn:aws[a-z-]*:[^\s\"'<>,;)]+"), "<arn>"),
    (re.compile(r"\b\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"), "<registry>"),
    (re.compile(r"\bsortbox-[a-z0-9]{1,8}-\d{12}-[a-z]{2}(?:-[a-z]+)+-\d\b"), "<bucket>"),
    (re.compile(r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}\b"), "<key>"),
    (re.compile(r"(?<![0-9A-Za-z])\d{4}-?\d{4}-?\d{4}(?![0-9A-Za-z])"), "<account>"),
)
"""ARNs, ECR registries, Sortbox's buckets, key ids, user ids and account ids."""

LEAST_CHARACTERS = 4
"""Shorter secrets are ignored: they would match parts of ordinary words."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """`secrets`: values of this run, such as the secret access key and the user's name."""

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def text(self, text: str) -> str:
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= LEAST_CHARACTERS:
                text = text.replace(secret, "<redacted>")
        for pattern, name in PATTERNS:
            text = pattern.sub(name, text)
        return text

    def document(self, value: Any) -> Any:
        """A copy of a JSON document with every text redacted, including names of members."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self.document(member) for name, member in value.items()}
            case list() | tuple():
                return [self.document(member) for member in value]
        return value


def of_credentials(session: Any) -> Redaction:
    """`session`: a boto3 session. Raises botocore's error if there are no valid credentials."""
    identity = session.client("sts").get_caller_identity()
    secrets = [identity["Account"], identity["UserId"], identity["Arn"]]
    credentials = session.get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        secrets += [frozen.access_key, frozen.secret_key, frozen.token or ""]
    return Redaction(tuple(secrets))
