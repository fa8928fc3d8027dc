import math
import struct
from dataclasses import astuple

import pytest
from dicom_pictures import RGB
from dicoms import write_dicom

from sepl.data.imaging.dicom.facts import read_facts


def test_the_facts_of_a_header_are_read():
    facts = read_facts(write_dicom(RGB))

    assert astuple(facts) == (1, "P-0042", "right", "2021-03-02", 61.0, 0.0, "Maker Model 1", False)


@pytest.mark.parametrize(("text", "years"), [("045Y", 45), ("018M", 1.5), ("010W", 0.1916), ("100D", 0.2738), ("7", 7)])
def test_an_age_is_in_years(text, years):
    source = _with_raw_text(write_dicom(RGB), b"061Y", text.encode().ljust(4))

    assert read_facts(source).age == pytest.approx(years, abs=1e-3)


def test_without_an_age_it_is_the_years_from_birth_to_the_photograph():
    assert read_facts(write_dicom(RGB, header={"PatientAge": None})).age == 61


@pytest.mark.parametrize(
    ("born", "age"), [("19600301", 61), ("19600302", 61), ("19600303", 60), ("20220101", math.nan)]
)
def test_such_an_age_is_whole_years_so_that_it_does_not_tell_the_birth_date(born, age):
    header = {"PatientAge": None, "PatientBirthDate": born}

    assert read_facts(write_dicom(RGB, header=header)).age == pytest.approx(age, nan_ok=True)


@pytest.mark.parametrize("removed", ["PatientBirthDate", "AcquisitionDateTime"])
def test_without_age_and_dates_the_age_is_unknown(removed):
    header = {"PatientAge": None, removed: None} | ({"StudyDate": None} if removed != "PatientBirthDate" else {})

    assert math.isnan(read_facts(write_dicom(RGB, header=header)).age)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20210302", "2021-03-02"),
        ("2021.03.02", "2021-03-02"),
        ("2021-03-02", "2021-03-02"),
        ("20211302", ""),
        ("", ""),
    ],
)
def test_a_date_is_read_in_both_spellings(text, date):
    header = {"AcquisitionDateTime": None, "StudyDate": None, "SeriesDescription": "x" * 10}
    source = write_dicom(RGB, header=header)
    place = source.index(b"\x08\x00\x3e\x10LO")  # any element: its tag becomes that of the acquisition date
    element = b"\x08\x00\x22\x00DA" + struct.pack("<H", 10) + text.encode().ljust(10)

    assert read_facts(source[:place] + element + source[place + 18 :]).acquired == date


@pytest.mark.parametrize("keyword", ["AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate"])
def test_any_of_the_usual_dates_will_do(keyword):
    header = {"AcquisitionDateTime": None, "StudyDate": None, keyword: "20190504"}
    if keyword == "StudyDate":
        del header["StudyDate"]
        header["StudyDate"] = "20190504"

    assert read_facts(write_dicom(RGB, header=header)).acquired == "2019-05-04"


@pytest.mark.parametrize(
    ("header", "eye"),
    [
        ({"ImageLaterality": "L"}, "left"),
        ({"ImageLaterality": None, "Laterality": "R"}, "right"),
        ({"ImageLaterality": "B", "Laterality": "L"}, "left"),
        ({"ImageLaterality": "B"}, ""),
        ({"ImageLaterality": None}, ""),
    ],
)
def test_the_eye_is_read_from_either_tag(header, eye):
    assert read_facts(write_dicom(RGB, header=header)).eye == eye


@pytest.mark.parametrize(("text", "sex"), [("M", 1.0), ("F", 0.0), ("O", math.nan), (None, math.nan)])
def test_sex_is_one_for_male(text, sex):
    assert read_facts(write_dicom(RGB, header={"PatientSex": text})).sex == pytest.approx(sex, nan_ok=True)


def test_an_empty_header_gives_nothing():
    left_out = ("PatientID", "PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "AcquisitionDateTime")
    left_out += ("Manufacturer", "ManufacturerModelName", "ImageLaterality")
    facts = read_facts(write_dicom(RGB, header=dict.fromkeys(left_out)))

    assert (facts.patient, facts.eye, facts.acquired, facts.camera) == ("", "", "", "")
    assert math.isnan(facts.age)
    assert math.isnan(facts.sex)


def _with_raw_text(source, old, new):
    assert source.count(old) == 1
    return source.replace(old, new)
