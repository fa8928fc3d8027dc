from pathlib import Path

import pytest

from sepl.data.tables.encodings import find_encoding

WESTERN = "name,town\nMüller,Köln\nJosé,Málaga\n"
KOREAN = "이름,도시\n김철수,서울 특별시\n이영희,부산 광역시\n박민수,대구 광역시\n" * 5


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("ascii", "a,b\n1,2\n", "utf-8"),
        ("utf-8", WESTERN, "utf-8"),
        ("utf-8-sig", WESTERN, "utf-8-sig"),
        ("utf-16", WESTERN, "utf-16"),
        ("utf-16-le", WESTERN, "utf-16-le"),
        ("utf-16-be", WESTERN, "utf-16-be"),
        ("utf-32", WESTERN, "utf-32"),
        ("cp1252", WESTERN, "cp1252"),
        ("cp949", KOREAN, "cp949"),
    ],
)
def test_the_encoding_of_a_text_is_told_and_reads_it(tmp_path: Path, encoding: str, text: str, expected: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))

    assert find_encoding(tmp_path / "t.csv") == expected
    assert (tmp_path / "t.csv").read_bytes().decode(expected) == text


def test_a_western_letter_below_many_plain_lines_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n" * 5000 + "Müller,1\n".encode("cp1252"))

    assert find_encoding(tmp_path / "t.csv") == "cp1252"


def test_bytes_with_few_zeros_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"abcdefgh" * 20)

    with pytest.raises(ValueError, match="not text"):
        find_encoding(tmp_path / "t.csv")
