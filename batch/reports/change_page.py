"""The HTML page about changes, of a reclassification or of one that might be: how many labels
changed, from what to what, and the changes with the highest scores."""

from collections.abc import Callable
from typing import Any

from batch.claim import Run
from batch.reports.changes import BINS, Changes
from domain.keys import INBOX
from pages.render import render

MOST_CELLS = 12
"""The most rows and columns of the matrix, the most changed labels first; the CSV has all."""

MOST_PAIRS = 15
MOST_CLASSES = 100
MOST_PICTURES = 100
UP = "../../../"
"""The relative URL from `outbox/_reclassify/<run>/` to the bucket's root."""

Thumbnail = Callable[[str], bytes | None]


def page(run: Run, changes: Changes, thumbnail: Thumbnail) -> str:
    """The report of a reclassification; `thumbnail` returns a JPEG for an image key, or None."""
    title = f"What changed in {INBOX}{run.path}"
    about = f"Run {run.nonce}, begun {run.started_at}."
    return page_about(title, about, changes, thumbnail)


def page_about(
    title: str, about: str, changes: Changes, thumbnail: Thumbnail, is_preview: bool = False
) -> str:
    """The page of any changes. A preview is about answers that are not written: it has no links,
    as it is not kept in the bucket.
    """
    pairs = [(pair, n) for pair, n in changes.matrix.most_common() if pair[0] != pair[1]]
    flips = changes.most_confident[:MOST_PICTURES]
    return render(
        "runs/change.html.jinja",
        title=title,
        about=about,
        up=None if is_preview else UP,
        changes=changes,
        models=[_short(model) for model in changes.models],
        matrix=_matrix(pairs),
        pairs=pairs[:MOST_PAIRS],
        flips=[(change, thumbnail(change.image)) for change in flips],
        # `before` counts images that had a result, `after` all that have one now.
        labels=[label for label, _ in (changes.before + changes.after).most_common(MOST_CLASSES)],
        scores=_scores(changes),
        codes=changes.codes.most_common(),
    )


def _matrix(pairs: list[tuple[tuple[str, str], int]]) -> dict[str, Any]:
    """Changed labels only; rows are labels before, columns labels after."""
    counts = dict(pairs)
    rows = list(dict.fromkeys(before for (before, _), _ in pairs))[:MOST_CELLS]
    columns = list(dict.fromkeys(after for (_, after), _ in pairs))[:MOST_CELLS]
    return {
        "columns": columns,
        "rows": [(row, [counts.get((row, column), 0) for column in columns]) for row in rows],
        "most": max(counts.values(), default=1),
    }


def _scores(changes: Changes) -> dict[str, Any]:
    before, after = changes.scores_before, changes.scores_after
    return {
        "most": max([*before.values(), *after.values(), 1]),
        "bins": [(n / BINS, (n + 1) / BINS, before[n], after[n]) for n in range(BINS)],
    }


def _short(model: str) -> str:
    """Name and version of a model id, without the digest; a candidate has no version yet."""
    return model.partition(":sha256:")[0].removesuffix(":0") or "no model"
