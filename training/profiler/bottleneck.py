"""What to change first, in a sentence: of a step, or of what lies around all steps."""

from collections.abc import Mapping, Sequence

from training.debugger.report import ISSUE
from training.profiler.profiler import BACKWARD, FORWARD, OPTIMIZER
from training.profiler.rules import Finding, Profile

BUSY = 0.4
"""Of a step, for the optimizer."""


def bottleneck(profile: Profile, found: Sequence[Finding]) -> str:
    if not profile.steps:
        return "No step was made."
    issues = {each.rule: each for each in found if each.state == ISSUE}
    if "OverallSystemUsage" in issues:
        return _told("Other processes", issues["OverallSystemUsage"])
    longest, what = max(_around(profile))
    if longest > profile.in_steps:
        return f"No step: all of them take {profile.in_steps:.1f} s, and {what}"
    return _of_a_step(profile, issues)


def _of_a_step(profile: Profile, issues: Mapping[str, Finding]) -> str:
    for rule, what in (("Dataloader", "The data loader"), ("SlowOperator", "One operator")):
        if rule in issues:
            return _told(what, issues[rule])
    if profile.share(OPTIMIZER) > BUSY:
        return (
            f"The optimizer takes {profile.share(OPTIMIZER):.0%} of each step. Use larger "
            "batches, or freeze layers."
        )
    return (
        f"The network itself: forward takes {profile.share(FORWARD):.0%} of a step and backward "
        f"{profile.share(BACKWARD):.0%}. A GPU, a smaller image-size or unfreeze=head shorten it."
    )


def _told(what: str, issue: Finding) -> str:
    return f"{what}. {issue.sentence} {issue.advice}"


def _around(profile: Profile) -> list[tuple[float, str]]:
    """Seconds in no step, each with what to do about them."""
    before, between, after = profile.before_first, profile.between, profile.after_last
    return [
        (before, f"{before:.0f} s pass before the first. More cores read and embed images faster."),
        (between, f"{between:.0f} s pass between epochs. A smaller validation split shortens it."),
        (after, f"{after:.0f} s pass after the last, in judging the network and what may serve in "
                "its place. compile=none shortens it."),
    ]  # fmt: skip
