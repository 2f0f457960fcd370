"""Pages that open from a disk, without a network: one file, every text of a stranger escaped.

The content policy in the page's head is the second lock: even a name that slipped through as markup
could load nothing and run nothing.
"""

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from domain.foreign import visible

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mark: #c2410c; --bar: #2563eb99 }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1.5rem }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
p { margin: .3rem 0 } .quiet { opacity: .7 } .alarm { color: var(--mark); font-weight: 600 }
table { border-collapse: collapse } td, th { padding: .2rem .7rem; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.matrix th { overflow-wrap: normal; min-width: 5rem; max-width: 14rem }
.matrix th bdi { overflow-wrap: break-word }
.wide { overflow-x: auto } bdi { overflow-wrap: anywhere }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0 }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; min-width: 7rem }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .8rem }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem; font-size: .85rem;
  overflow: hidden }
.card img, .card .none { width: 100%; height: 8rem; object-fit: contain; background: var(--soft);
  border-radius: .3rem; display: block; margin-bottom: .3rem }
.name { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
  font-size: .78rem; opacity: .75; overflow-wrap: anywhere }
.bar { display: inline-block; height: .7rem; background: var(--bar); vertical-align: middle }
"""


MOST_LETTERS = 160


def text(value: str) -> str:
    """A stranger's text: escaped, control characters made visible, its direction its own, short."""
    if len(value) > MOST_LETTERS:
        value = f"{value[: MOST_LETTERS // 2]}…{value[-MOST_LETTERS // 2 :]}"
    return f"<bdi>{escape(visible(value))}</bdi>"


def attribute(value: str) -> str:
    return escape(value, quote=True)


def link(target: str, label: str) -> str:
    """A relative link to a key; works where the bucket has been copied to a disk as it is."""
    return f'<a href="{attribute(quote(target, safe="/."))}">{label}</a>'


def picture(jpeg: bytes | None) -> str:
    if jpeg is None:
        return '<span class="none"></span>'
    return f'<img alt="" src="data:image/jpeg;base64,{b64encode(jpeg).decode()}">'


def number(value: int) -> str:
    return f"{value:,}"


def tile(name: str, value: str) -> str:
    return f'<div class="tile"><b>{value}</b>{escape(name)}</div>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are markup already; those that begin with a digit, a sign or a bar are set right."""
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    return f'<div class="wide"><table><tr>{heads}</tr>{body}</table></div>'


def _cell(markup: str) -> str:
    kind = ' class="n"' if markup[:1].isdigit() or markup[:1] in "+-" else ""
    return f"<td{kind}>{markup}</td>"


def bar(share: float) -> str:
    """`share` of the longest."""
    return f'<span class="bar" style="width:{max(0.0, min(1.0, share)) * 12:.2f}rem"></span>'


def page(title: str, parts: Iterable[str]) -> str:
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{attribute(POLICY)}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
    )
    return head + "\n".join(parts) + "</body></html>\n"
