"""The report's HTML, piece by piece. Every text from outside is escaped where it enters."""

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 1000px;
  padding: 0 1rem }
h1 { margin-bottom: .2rem } h2 { margin: 2.2rem 0 .4rem; border-bottom: 1px solid #ddd }
.note { color: #666; margin: .2rem 0 .8rem } .wide { overflow-x: auto }
.figures { display: flex; gap: 2.5rem; flex-wrap: wrap; margin: 1rem 0 }
.figures b { display: block; font-size: 2rem; line-height: 1.2 }
.reading { background: #f3f6fb; border-left: 4px solid #2f6fde; padding: .7rem 1rem;
  margin: .6rem 0 }
table { border-collapse: collapse } td, th { padding: .15rem .9rem .15rem 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
figure { display: inline-block; width: 170px; margin: 0 12px 14px 0; vertical-align: top }
figcaption { font-size: 12px; overflow-wrap: anywhere } figure b { color: #c0392b }
meter { width: 90px } code { overflow-wrap: anywhere; font-size: 12px }
"""

NUMBER = re.compile(r"[\d.,]+(e-?\d+)?( ?(%|ms|s))?")

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, sections: Iterable[str]) -> str:
    """`title`: escaped."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1>{''.join(sections)}</body></html>\n"
    )


def section(title: str, body: str, note: str = "") -> str:
    """Nothing, where there is nothing to show. `body` is HTML."""
    if not body:
        return ""
    shown = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<h2>{escape(title)}</h2>{shown}<div class="wide">{body}</div>'


def headline(content: dict[str, Any]) -> str:
    result, split = content["result"], content["judged_on"]
    figures = (
        (f"{result['accuracy']:.1%}", f"right of {result['images']:.0f} {split} images"),
        (f"{result['loss']:.3f}", "loss"),
        (f"{result['calibration_error']:.3f}", "calibration error"),
        (str(len(content["classes"])), "classes"),
    )
    shown = "".join(f"<div><b>{escape(n)}</b>{escape(what)}</div>" for n, what in figures)
    readings = "".join(f'<div class="reading">{escape(s)}</div>' for s in content["reading"])
    model = content["model"]
    made = f"{model['architecture']}, {model['provenance']['weights']}"
    return f'<p class="note">{escape(made)}</p><div class="figures">{shown}</div>{readings}'


def data(content: dict[str, Any]) -> str:
    about, classes = content["data"], content["classes"]
    counts = [row["learnt"] for row in classes]
    rows = [[split, f"{count:,} images"] for split, count in about["images"].items()]
    rows.append(["a class, in train", f"{min(counts):,} to {max(counts):,} images"])
    rows.append(["left out as unreadable", _left_out(about)])
    rows.append(["both learnt and judged", f"{about['learnt_and_judged']:,} images"])
    rows.append(["fingerprint", about["fingerprint"]])
    return table((), rows)


def _left_out(about: dict[str, Any]) -> str:
    such_as = "; ".join(about["left_out_such_as"])
    return f"{about['left_out']:,} images" + (f", such as {such_as}" if such_as else "")


def confused(pairs: Sequence[dict[str, Any]]) -> str:
    rows = [[pair["label"], pair["predicted"], str(pair["images"])] for pair in pairs]
    return table(("is", "was taken for", "images"), rows) if rows else ""


def classes(every: Sequence[dict[str, Any]]) -> str:
    order = sorted(every, key=lambda row: (row["recall"] is None, row["recall"]))
    rows = "".join(
        f"<tr><td>{escape(row['label'])}</td>{_number(row['learnt'])}{_number(row['judged'])}"
        f"<td>{_share(row['precision'])}</td><td>{_share(row['recall'])}</td></tr>"
        for row in order
    )
    heads = "".join(f'<th class="n">{head}</th>' for head in ("learnt", "judged"))
    return (
        f"<table><tr><th>class</th>{heads}<th>right, of what was called so (precision)</th>"
        f"<th>found, of what is so (recall)</th></tr>{rows}</table>"
    )


def mistake(row: dict[str, Any], picture: str) -> str:
    """`picture`: a data URI."""
    return (
        f'<figure><img src="{picture}" alt=""><figcaption><b>{escape(row["predicted"])}</b> '
        f"{row['confidence']:.0%}, is {escape(row['label'])} ({row['label_probability']:.0%})"
        f"<br>{escape(row['image'])}</figcaption></figure>"
    )


def provenance(content: dict[str, Any]) -> str:
    model = content["model"]
    hyperparameters = json.loads(model["provenance"]["hyperparameters"])
    rows = [
        ["digest", model["digest"]],
        ["code", model["provenance"]["code"]],
        *hyperparameters.items(),
    ]
    return table((), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns that hold nothing but numbers stand flush on their right."""
    lines = list(rows)
    aligned = [
        ' class="n"' if all(NUMBER.fullmatch(cell) for cell in column) else ""
        for column in zip(*(lines or [[""] * len(heads)]), strict=True)
    ]
    top = _row("th", heads, aligned) if heads else ""
    return f"<table>{top}{''.join(_row('td', line, aligned) for line in lines)}</table>"


def _row(kind: str, cells: Sequence[str], aligned: Sequence[str]) -> str:
    shown = (
        f"<{kind}{how}>{escape(cell)}</{kind}>" for cell, how in zip(cells, aligned, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _number(value: int) -> str:
    return f'<td class="n">{value:,}</td>'


def _share(value: float | None) -> str:
    if value is None:
        return "never"
    return f'<meter value="{value}"></meter> {value:.1%}'
