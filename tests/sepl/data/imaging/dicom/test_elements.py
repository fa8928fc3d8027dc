import struct

import numpy as np
import pytest
from dicom_pictures import COMPRESSED, RGB, change, keyword_of, read
from dicoms import PLAIN, SECRETS, write_dicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sepl.data.imaging.decode import read_header
from sepl.data.imaging.dicom.facts import is_dicom, read_facts
from sepl.errors import ImageError


@pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
def test_every_byte_order_gives_the_same_facts(syntax):
    assert read_facts(write_dicom(RGB, syntax)) == read_facts(write_dicom(RGB))


@pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
def test_the_bytes_before_the_pixels_are_enough(syntax):
    source = write_dicom([RGB, RGB], syntax)
    if syntax == DeflatedExplicitVRLittleEndian:
        header = source[: len(source) // 4]
    else:
        header = source[: source.index(struct.pack(">H" if syntax == ExplicitVRBigEndian else "<H", 0x7FE0)) + 12]

    assert read_facts(header) == read_facts(source)


@pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
def test_sequences_however_deep_are_stepped_over(syntax):
    inner = Dataset()
    inner.PatientID = "not this one"
    inner.Rows = 1
    for _ in range(20):
        outer = Dataset()
        outer.ReferencedStudySequence = [inner]
        outer["ReferencedStudySequence"].is_undefined_length = True
        inner = outer
    source = change(write_dicom(RGB, syntax), ReferencedStudySequence=[inner, inner])

    assert read_facts(source) == read_facts(write_dicom(RGB))
    assert np.array_equal(read(source), RGB)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=keyword_of)
def test_a_file_without_a_preamble_is_read(syntax):
    whole = write_dicom(RGB, syntax)
    bare = whole[whole.index(b"\x08\x00\x16\x00") :]

    assert is_dicom(bare)
    assert read_facts(bare) == read_facts(whole)
    assert np.array_equal(read(bare), RGB)


@pytest.mark.parametrize("source", [b"", b"DICM", bytes(200), b"\x08\x00" * 40, b"patient,age\n" * 20])
def test_other_bytes_are_no_dicom(source):
    assert not is_dicom(source)
    with pytest.raises(ImageError):
        read_facts(source)


def test_a_deflated_bomb_is_refused():
    source = write_dicom(np.zeros((3000, 3000, 3), np.uint8), DeflatedExplicitVRLittleEndian)

    with pytest.raises(ImageError, match="too large: inflates to more than"):
        read_header(source)


@pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
def test_every_part_of_a_file_is_refused_and_no_reason_names_the_patient(syntax):
    source = write_dicom([RGB, RGB], syntax)
    lengths = np.random.default_rng(0).integers(0, len(source) - 200, 60)

    for length in lengths:
        with pytest.raises(ImageError) as caught:
            read(source[:length], frame=1)
        assert not any(secret in str(caught.value) for secret in SECRETS)
