"""A page of HTML that needs nothing else: plotly's script, pictures and style are inside."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs


def page(title: str, subtitle: str, sections: Iterable[str]) -> str:
    """The whole page; `sections` are HTML."""
    return _PAGE.substitute(
        title=escape(title), subtitle=escape(subtitle), plotly=get_plotlyjs(), sections="\n".join(sections)
    )


def section(title: str, *parts: str, note: str = "") -> str:
    """A heading, a few words on how to read it, and HTML."""
    return f"<section><h2>{escape(title)}</h2>{paragraph(note) if note else ''}{''.join(parts)}</section>"


def subheading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """A row of figures: name, value, note."""
    each = (
        f"<div><h3>{escape(name)}</h3><b>{escape(value)}</b><p>{escape(note)}</p></div>"
        for name, value, note in entries
    )
    return f'<div class="tiles">{"".join(each)}</div>'


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> str:
    """The first columns hold text, to the left; the others numbers, to the right."""
    head = "".join(_cell("th", text, index < num_text_columns) for index, text in enumerate(heading))
    body = "".join(
        "<tr>" + "".join(_cell("td", text, index < num_text_columns) for index, text in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(tag: str, text: str, is_text: bool) -> str:
    style = "" if is_text else ' class="number"'
    return f"<{tag}{style}>{escape(text)}</{tag}>"


def plot(figure: go.Figure, name: str) -> str:
    """`name` is the element's id, so that the same figures give the same bytes."""
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )


def picture(jpeg: bytes, description: str, style: str) -> str:
    """`style` is "thumbnail" or "sheet"."""
    data = base64.b64encode(jpeg).decode()
    return f'<img class="{style}" alt="{escape(description)}" src="data:image/jpeg;base64,{data}">'


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · sepl</title>
<script>$plotly</script>
<style>
body { margin: 0; background: #f5f7fa; color: #1f2933; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { margin: 0; font-size: 28px; overflow-wrap: anywhere; } h2 { margin: 0 0 4px; font-size: 18px; }
h3 { margin: 18px 0 2px; font-size: 15px; }
.tiles h3 { margin: 0; font-size: 12px; color: #616e7c; text-transform: uppercase; letter-spacing: .05em; }
section, .tiles > div { background: #fff; border: 1px solid #e4e7eb; border-radius: 10px; }
section { margin-top: 16px; padding: 18px 22px; }
section p, header p { margin: 0 0 8px; color: #52606d; max-width: 85ch; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin-top: 20px; }
.tiles > div { padding: 14px 18px; } .tiles b { font-size: 26px; }
.tiles p { margin: 0; font-size: 13px; color: #52606d; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 13px; margin: 8px 0; }
th { text-align: left; color: #52606d; font-weight: 600; border-bottom: 2px solid #e4e7eb; vertical-align: bottom; }
th, td { padding: 5px 14px 5px 6px; font-variant-numeric: tabular-nums; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
tbody tr:nth-child(odd) { background: #fafbfc; }
.thumbnail { width: 78px; height: 78px; object-fit: contain; margin: 4px 4px 0 0; border-radius: 4px; }
.sheet { width: 100%; height: auto; display: block; border-radius: 6px; }
.strip { display: flex; flex-wrap: wrap; margin-bottom: 12px; }
code { font-size: 13px; overflow-wrap: anywhere; }
pre { background: #f5f7fa; border-radius: 8px; padding: 12px; font-size: 12.5px; white-space: pre-wrap; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
</style>
</head>
<body><main>
<header><h1>$title</h1><p>$subtitle</p></header>
$sections
</main></body>
</html>
""")
