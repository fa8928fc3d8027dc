import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.tables.dates import read_visits

FORMATS = {"%Y-%m-%d": None, "%Y/%m/%d": None, "%Y%m%d": None, "%d.%m.%Y": None, "%d/%m/%Y": "dmy", "%m/%d/%Y": "mdy"}
dates = st.dates(min_value=pd.Timestamp("1950-01-01").date(), max_value=pd.Timestamp("2060-01-01").date())


def visits(*texts, order=None):
    found, ambiguous = read_visits(pd.Series(list(texts), dtype=object), order)
    return found.tolist(), ambiguous.tolist()


@given(dates, st.sampled_from(sorted(FORMATS)))
def test_a_date_is_one_whatever_its_spelling(date, form):
    assert visits(date.strftime(form), order=FORMATS[form]) == ([date.isoformat()], [False])


def test_a_column_tells_its_own_order():
    assert visits("01/02/2020", "25/12/2020")[0] == ["2020-02-01", "2020-12-25"]
    assert visits("01/02/2020", "12/25/2020")[0] == ["2020-01-02", "2020-12-25"]


def test_what_stays_ambiguous_is_kept_and_told():
    assert visits("01/02/2020", "03/03/2020") == (["01/02/2020", "2020-03-03"], [True, False])
    assert visits("01/02/2020", "13/02/2020", "02/13/2020")[1] == [True, True, True]


@pytest.mark.parametrize("text", ["baseline", "2", "V1", "2020-13-45", "31.02.2020", "1/2/20", ""])
def test_what_is_no_date_is_text(text):
    assert visits(text) == ([text], [False])


@pytest.mark.parametrize("text", ["2020-03-01T10:22:00", "2020-03-01 10:22", "20200301102200", "2020-03-01 00:00:00"])
def test_the_time_of_day_is_left_out(text):
    assert visits(text)[0] == ["2020-03-01"]
