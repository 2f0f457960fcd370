"""The stand-in's knobs, each an environment variable `STAND_IN_<FIELD>`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.reply import Server
from tests.stand_in.live import Live

MODEL_ID = f"stand-in:1:sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Settings:
    server: Server
    host: str
    port: int
    is_batch: bool
    exit: int | None
    """Exit at the start with this status."""
    unready: bool
    """Answer 503 to /ping for ever."""
    status: int | None
    """Answer this to every invocation."""
    delay_ms: float
    """Take this long over every invocation."""
    fail_after: int | None
    """Answer 500 to every invocation after this many."""
    die_after: int | None
    """Exit with status 1 instead of answering the invocation after this many."""
    parameters: str | None
    """The JSON that /execution-parameters answers; 404 without it."""
    live: Live | None
    """Further knobs, to be turned while it runs, in this folder."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        def number(name: str) -> int | None:
            text = env.get(f"STAND_IN_{name}")
            return int(text) if text else None

        return cls(
            server=Server(
                env.get("SORTBOX_MODEL_ID", MODEL_ID), env.get("SORTBOX_CONTAINER", "stand-in")
            ),
            host=env.get("SORTBOX_BIND_HOST", "127.0.0.1"),
            port=int(env.get("SAGEMAKER_BIND_TO_PORT", "8080")),
            is_batch=env.get("SAGEMAKER_BATCH") == "true",
            exit=number("EXIT"),
            unready=env.get("STAND_IN_UNREADY") == "true",
            status=number("STATUS"),
            delay_ms=float(env.get("STAND_IN_DELAY_MS", "0")),
            fail_after=number("FAIL_AFTER"),
            die_after=number("DIE_AFTER"),
            parameters=env.get("STAND_IN_PARAMETERS"),
            live=Live(Path(env["STAND_IN_LIVE"])) if "STAND_IN_LIVE" in env else None,
        )
