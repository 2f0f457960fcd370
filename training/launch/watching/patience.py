"""Waits out what AWS gets over by itself, so that a job is watched for hours through any hiccup."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from aws.errors import is_transient

FIRST_SECONDS, LONGEST_SECONDS = 2.0, 30.0
"""Of the waits, which double; each is cut at random, so that many who wait do not ask at once."""

GIVE_UP_SECONDS = 900.0

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Patience:
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def call(
        self, ask: Callable[[], Reply], is_passing: Callable[[Exception], bool] = is_transient
    ) -> Reply:
        """Repeats `ask` while its error passes by itself; raises it after GIVE_UP_SECONDS."""
        began, attempt = self.clock(), 0
        while True:
            try:
                reply = ask()
            except (ClientError, BotoCoreError) as error:
                if not is_passing(error) or self.clock() - began >= GIVE_UP_SECONDS:
                    raise
                if attempt == 0:
                    self.say(
                        f"AWS: {error}. Waiting up to {GIVE_UP_SECONDS / 60:.0f} minutes; jobs go "
                        "on meanwhile."
                    )
                longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0**attempt)
                self.sleep(longest * random.uniform(0.5, 1))
                attempt += 1
            else:
                if attempt:
                    self.say("AWS answers again.")
                return reply
