"""A sweep's report as a page: how many answers flipped, from what to what, and the surest ones."""

from collections.abc import Callable, Iterator

from batch.claim import Run
from batch.reports import markup
from batch.reports.changes import BINS, Change, Changes
from domain.keys import INBOX

MOST_CELLS = 12
"""Labels on each side of the matrix, the most changed first; the CSV and the JSON have all."""

MOST_PAIRS = 15
MOST_CLASSES = 100
MOST_PICTURES = 100
UP = "../../../"
"""From `outbox/_reclassify/<run>/` to the bucket."""

Thumbnail = Callable[[str], bytes | None]


def page(run: Run, changes: Changes, thumbnail: Thumbnail) -> str:
    return markup.page(f"Changes in {INBOX}{run.path}", _parts(run, changes, thumbnail))


def _parts(run: Run, changes: Changes, thumbnail: Thumbnail) -> Iterator[str]:
    yield f"<h1>What changed in {markup.text(INBOX + run.path)}</h1>"
    models = ", ".join(markup.text(_short(model)) for model in changes.models)
    yield f'<p class="quiet">Run {run.nonce}, begun {markup.text(run.started_at)}. By {models}.</p>'
    yield '<div class="tiles">'
    yield markup.tile("answers renewed", markup.number(changes.renewed))
    yield markup.tile(f"flipped ({changes.flipped_percent:.1f} %)", markup.number(changes.flipped))
    yield markup.tile("first answers", markup.number(changes.first))
    yield markup.tile("rejected", markup.number(changes.rejected))
    yield markup.tile("unanswered", markup.number(changes.unanswered))
    yield markup.tile("score, where the label stayed", f"{changes.mean_shift:+.3f}")
    yield "</div>"
    if changes.flipped:
        yield from _flips(changes, thumbnail)
    yield from _classes(changes)
    yield from _scores(changes)
    if changes.codes:
        yield "<h2>Rejected</h2>"
        yield markup.table(
            ("code", "images"),
            ((markup.text(code), markup.number(n)) for code, n in changes.codes.most_common()),
        )


def _flips(changes: Changes, thumbnail: Thumbnail) -> Iterator[str]:
    pairs = [(pair, n) for pair, n in changes.matrix.most_common() if pair[0] != pair[1]]
    yield "<h2>From which label to which</h2>"
    yield _matrix(pairs)
    yield "<h2>The most frequent flips</h2>"
    rows = ((markup.text(a), markup.text(b), markup.number(n)) for (a, b), n in pairs[:MOST_PAIRS])
    yield markup.table(("before", "after", "images"), rows)
    yield "<h2>The most confident flips</h2><div class='grid'>"
    for change in changes.most_confident[:MOST_PICTURES]:
        yield _card(change, thumbnail(change.image))
    yield "</div>"


def _matrix(pairs: list[tuple[tuple[str, str], int]]) -> str:
    """Rows are labels before, columns labels after; flips only."""
    counts = dict(pairs)
    rows = list(dict.fromkeys(before for (before, _), _ in pairs))[:MOST_CELLS]
    columns = list(dict.fromkeys(after for (_, after), _ in pairs))[:MOST_CELLS]
    most = max(counts.values())
    head = "".join(f"<th>{markup.text(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{markup.text(row)}</th>"
        + "".join(_shade(counts.get((row, column), 0), most) for column in columns)
        + "</tr>"
        for row in rows
    )
    first = f"<tr><th>before \\ after</th>{head}</tr>"
    return f'<div class="wide matrix"><table>{first}{body}</table></div>'


def _shade(count: int, most: int) -> str:
    if count == 0:
        return '<td class="n"></td>'
    return (
        f'<td class="n" style="background:rgb(37 99 235 / {0.1 + 0.5 * count / most:.2f})">'
        f"{markup.number(count)}</td>"
    )


def _card(change: Change, jpeg: bytes | None) -> str:
    return (
        f'<div class="card">{markup.picture(jpeg)}'
        f"{markup.text(change.before)} {_score(change.before_score)} → "
        f"<b>{markup.text(change.after)}</b> {_score(change.after_score)}"
        f'<div class="name">{markup.link(UP + change.image, markup.text(change.image))}</div></div>'
    )


def _short(model: str) -> str:
    """Name and version; the digest is in the JSON."""
    return model.partition(":sha256:")[0] or "no model"


def _score(score: float | None) -> str:
    return "(rejected)" if score is None else f"{score:.2f}"


def _classes(changes: Changes) -> Iterator[str]:
    """Of what was renewed, before; of all that was answered, after."""
    labels = (changes.before + changes.after).most_common(MOST_CLASSES)
    yield "<h2>Labels before and after</h2>"
    rows = (
        (
            markup.text(label),
            markup.number(changes.before[label]),
            markup.number(changes.after[label]),
            f"{changes.after[label] - changes.before[label]:+,}",
        )
        for label, _ in labels
    )
    yield markup.table(("label", "before", "after", "difference"), rows)


def _scores(changes: Changes) -> Iterator[str]:
    yield "<h2>Scores before and after</h2>"
    most = max([*changes.scores_before.values(), *changes.scores_after.values(), 1])
    rows = (
        (
            f"{each / BINS:.2f} to {(each + 1) / BINS:.2f}",
            markup.bar(changes.scores_before[each] / most) + f" {changes.scores_before[each]:,}",
            markup.bar(changes.scores_after[each] / most) + f" {changes.scores_after[each]:,}",
        )
        for each in range(BINS)
    )
    yield markup.table(("score", "before", "after"), rows)
