import re
from html.parser import HTMLParser

import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st

from sepl.reports import page as html

HOSTILE = '<script>alert("&")</script>'


class Texts(HTMLParser):
    """What a reader sees, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Texts:
    parser = Texts()
    parser.feed(text)
    return parser


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1))
def test_whatever_a_text_holds_is_read_as_text(text: str) -> None:
    part = html.section(text, html.paragraph(text), html.table([text], [[text]]), html.code(text), note="x")

    parser = read(str(part))

    assert set(parser.tags) <= {"section", "h2", "p", "div", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert [said for said in parser.texts if said == text] == [text] * 5


def test_a_hostile_text_stays_text_in_every_part() -> None:
    parts = [
        html.subheading(HOSTILE),
        html.tiles([(HOSTILE, HOSTILE, HOSTILE)]),
        html.strip([html.picture(b"", HOSTILE, "thumbnail")]),
    ]

    whole = html.page(HOSTILE, HOSTILE, [html.section("s", *parts)])

    assert "alert(" not in "".join(tag for tag in read(whole).tags)
    assert HOSTILE not in whole


def test_text_columns_are_left_and_numbers_right() -> None:
    table = str(html.table(["name", "n"], [["a", "1"]], num_text_columns=1))

    assert "<th>name</th>" in table
    assert '<th class="number">n</th>' in table
    assert '<td class="number">1</td>' in table


def test_the_page_needs_nothing_from_outside() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))

    whole = html.page("t", "s", [html.section("plot", html.plot(figure, "one"))])

    before, _, after = whole.partition("<style>")
    assert "<script" in before
    assert 'id="one"' in after
    assert " src=" not in after  # only pictures inside the page have one


def test_the_same_parts_give_the_same_bytes() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))

    first, second = (html.page("t", "s", [html.plot(figure, "one")]) for _ in range(2))

    assert first == second


def test_a_table_wider_than_the_page_scrolls_by_itself_and_its_first_column_stays() -> None:
    table = html.table(["task", *map(str, range(40))], [["age", *["1"] * 40]])

    whole = html.page("t", "s", [html.section("wide", table)])

    around = whole[: whole.index("<table>")].rsplit("<", 1)[1]
    assert 'class="wide"' in around
    assert 'tabindex="0"' in around  # arrow keys scroll it
    assert re.search(r"\.wide \{[^}]*overflow-x: auto", whole)
    assert re.search(r"first-child[^{]*\{[^}]*position: sticky", whole)


def test_only_a_page_about_something_under_way_reads_itself_anew() -> None:
    assert 'http-equiv="refresh" content="60"' in html.page("a", "b", [], refresh_seconds=60)
    assert "http-equiv" not in html.page("a", "b", [])
