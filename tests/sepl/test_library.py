"""Known values from a notebook: the same as the scorer's, by photograph or by the columns of a table."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from bundles import bundle_content, draw_fundus, planted_conditioning

import sepl
from sepl.bundle.format import compose_bundle
from sepl.errors import CohortError, ConfigError
from sepl.library import Model

KNOWN = [{"age": 61.0, "sex": 1.0}, {}, {"age": 48.0}]


@pytest.fixture(scope="module")
def model() -> Model:
    return sepl.open_bundle(compose_bundle(**bundle_content(conditioning=planted_conditioning()))[0], device="cpu")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(draw_fundus(seed, suffix=".png"))
    return [tmp_path / f"{seed}.png" for seed in range(3)]


def table_of(paths: list[Path]) -> pd.DataFrame:
    return pd.DataFrame(
        {"image": [path.name for path in paths], "Alter": [732, None, 576], "sex:M": ["male", None, None]},
        index=["a", "b", "c"],
    )


def test_known_values_of_paths_and_arrays_are_those_of_the_scorer(model: Model, paths: list[Path]) -> None:
    expected = model.scorer.score_files(paths, (), KNOWN)
    pixels = [np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1] for path in paths]

    of_paths, of_arrays = model.score(paths, known=KNOWN), model.score(pixels, known=KNOWN)

    for found in (of_paths, of_arrays):
        assert found.known.fillna("").tolist() == ["sex+age", "", "age"]
        assert found.sbp.tolist() == pytest.approx([row.values["sbp"].value for row in expected])
        assert found.sbp_lo.tolist() == pytest.approx([row.values["sbp"].low for row in expected])
    assert of_paths.sbp.tolist() != pytest.approx(model.score(paths).sbp.tolist())


def test_a_dataframe_and_a_table_tell_known_values_by_columns(model: Model, paths: list[Path]) -> None:
    frame, columns = table_of(paths), {"age": "Alter:months", "sex": "sex:M"}
    frame.to_csv(paths[0].parent / "visits.csv", index=False)
    expected = model.score(paths, known=KNOWN)

    of_frame = model.score(frame, images=paths[0].parent, known=columns)
    of_table = model.score(paths[0].parent / "visits.csv", known=columns)

    assert of_frame.index.tolist() == ["a", "b", "c"]
    for found in (of_frame, of_table):
        assert found.known.fillna("").tolist() == ["sex+age", "", "age"]
        assert found.age.tolist() == pytest.approx(expected.age.tolist())
        assert found.sbp.tolist() == pytest.approx(expected.sbp.tolist())


def test_known_values_that_cannot_be_meant_are_one_line(model: Model, paths: list[Path]) -> None:
    frame = table_of(paths)

    with pytest.raises(ConfigError, match="known should be one a photograph, 3, were 1"):
        model.score(paths, known=[{"age": 61.0}])
    with pytest.raises(ConfigError, match="known should be a sequence of one mapping a photograph"):
        model.score(paths, known={"age": "Alter"})
    with pytest.raises(ConfigError, match="known should name a column by task"):
        model.score(frame, known=KNOWN)
    with pytest.raises(ConfigError, match="the DataFrame should have the column 'years', has image, Alter, sex:M"):
        model.score(frame, known={"age": "years"})
    with pytest.raises(ConfigError, match="known should be of sex, age, sbp, hba1c; was of shoe_size"):
        model.score(frame, known={"shoe_size": "Alter"})
    with pytest.raises(CohortError, match="known column should be given with a table"):
        model.score(paths[0].parent, known={"age": "Alter"})
    with pytest.raises(ConfigError, match="calibrate anew"):
        sepl.open_bundle(compose_bundle(**bundle_content())[0]).score(frame, known={"age": "Alter"})
