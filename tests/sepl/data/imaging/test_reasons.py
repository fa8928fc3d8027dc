"""A refusal is a value: its kind decides, its sentence is for people, and it survives files and processes."""

import pickle

import cv2
import numpy as np
import pytest

from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.imaging.reasons import NO_FIELD_OF_VIEW, NOT_GRADEABLE, Refusal
from sepl.data.preparation.facts import Facts, fact_of_error, facts_table
from sepl.data.preparation.thumbnails import MOST_OF_A_REASON, FewOfEach
from sepl.errors import ImageError


@pytest.mark.parametrize(
    ("refusal", "sentence", "group"),
    [
        (Refusal("empty file"), "empty file", "empty file"),
        (Refusal("damaged TIFF", "a tag: stands twice"), "damaged TIFF: a tag: stands twice", "damaged TIFF"),
        (
            Refusal(NOT_GRADEABLE, "sharpness 0.02 below 0.4", "sharpness"),
            "not gradeable: sharpness 0.02 below 0.4",
            "not gradeable: sharpness",
        ),
    ],
)
def test_the_sentence_has_kind_and_detail_and_the_group_kind_and_topic(
    refusal: Refusal, sentence: str, group: str
) -> None:
    assert (str(refusal), refusal.group) == (sentence, group)
    assert pickle.loads(pickle.dumps(refusal)) == refusal


def test_a_photograph_that_cannot_be_read_says_its_kind_in_every_process() -> None:
    with pytest.raises(ImageError) as caught:
        read_photograph(encode_black(), ImageSpec(size=32))

    received = pickle.loads(pickle.dumps(caught.value))

    assert Refusal.of(received) == Refusal(NO_FIELD_OF_VIEW, "nothing brighter than the dark surround")
    assert str(received) == "no field of view: nothing brighter than the dark surround"


def test_facts_keep_the_parts_of_a_refusal_whatever_stands_in_them() -> None:
    refusals = [Refusal("damaged TIFF", "a: b"), Refusal("not: gradeable", "x 1 below 2", "x"), Refusal("empty file")]

    facts = Facts(facts_table(map(fact_of_error, refusals)))

    assert facts.refusals == refusals
    assert not len(facts.usable)
    assert facts.judged_by(QualityThresholds()).refusals == refusals  # not decoded, so there is nothing to judge


def test_a_few_of_each_group_are_shown_whatever_their_numbers() -> None:
    few = FewOfEach()

    shown = [few.takes(Refusal(NOT_GRADEABLE, f"colour {n} below 30", "colour")) for n in range(20)]

    assert sum(shown) == MOST_OF_A_REASON
    assert few.takes(Refusal(NOT_GRADEABLE, "sharpness 0 below 1", "sharpness"))


def encode_black() -> bytes:
    return cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
