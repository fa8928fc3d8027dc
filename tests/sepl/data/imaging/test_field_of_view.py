import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.imaging.field_of_view import blacken_bright_surround, find_field_of_view
from sepl.errors import ImageError


def draw_field(height, width, centre, radius, *, colour=(60, 90, 180), dark=4.0, noise=0.0, vignette=0.0, seed=0):
    """A round field (H, W, 3) on a dark surround with noise; `vignette` is the share of light lost at its rim."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - centre[0], columns - centre[1]) / radius
    light = np.where(distance <= 1, 1 - vignette * distance**2, 0.0)
    pixels = dark + light[:, :, None] * np.array(colour)
    pixels += np.random.default_rng(seed).normal(0, noise, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@given(
    height=st.integers(200, 900),
    width=st.integers(200, 900),
    share=st.floats(0.3, 0.5),
    shift=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    noise=st.floats(0, 4),
    vignette=st.floats(0, 0.6),
)
def test_the_box_surrounds_the_round_field(height, width, share, shift, noise, vignette):
    radius = share * min(height, width)
    centre = (height * (0.5 + shift[0]), width * (0.5 + shift[1]))
    pixels = draw_field(height, width, centre, radius, noise=noise, vignette=vignette)

    box = find_field_of_view(pixels)

    near = 0.02 * max(height, width) + 1
    assert abs(box.left - max(0, centre[1] - radius)) <= near
    assert abs(box.right - min(width, centre[1] + radius)) <= near
    assert abs(box.top - max(0, centre[0] - radius)) <= near
    assert abs(box.bottom - min(height, centre[0] + radius)) <= near


def test_a_circle_cut_above_and_below_keeps_all_it_has():
    box = find_field_of_view(draw_field(400, 600, (200, 300), 240, noise=3))

    assert (box.top, box.bottom) == (0, 400)
    assert box.longest == pytest.approx(480, abs=12)


@pytest.mark.parametrize("level", [60, 128, 255])
def test_a_photograph_without_dark_corners_stays_whole(level):
    box = find_field_of_view(np.full((120, 160, 3), level, np.uint8))

    assert (box.left, box.top, box.right, box.bottom) == (0, 0, 160, 120)


def test_a_label_beside_the_field_is_left_out():
    pixels = draw_field(400, 600, (200, 300), 180)
    pixels[10:30, 10:90] = 255

    assert find_field_of_view(pixels).left > 100


def test_a_field_of_one_colour_is_found_as_well():
    for channel in range(3):
        colour = [0, 0, 0]
        colour[channel] = 120

        assert find_field_of_view(draw_field(300, 400, (150, 200), 120, colour=colour)).longest in range(235, 250)


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_a_black_photograph_has_no_field(noise):
    with pytest.raises(ImageError, match="no field of view"):
        find_field_of_view(draw_field(300, 400, (150, 200), 100, colour=(0, 0, 0), noise=noise))


def add_name(pixels):
    for row in range(6):
        cv2.putText(
            pixels, "DOE JANE 1961-02-03", (5, 30 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2
        )


def add_date_across_the_rim(pixels):
    cv2.putText(pixels, "2019-03-04 11:22 OD 45", (5, 385), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)


def add_logo_on_the_rim(pixels):
    pixels[10:90, 400:480] = (30, 120, 200)


def add_logo_in_the_corner(pixels):
    pixels[5:60, 520:595] = (30, 120, 200)


def add_frame(pixels):
    cv2.rectangle(pixels, (2, 2), (597, 397), (0, 200, 255), 4)


def add_bar(pixels):
    pixels[:15] = 200


def add_inset(pixels):
    cv2.circle(pixels, (540, 350), 40, (60, 90, 180), -1)


@pytest.mark.parametrize(
    "add",
    [add_name, add_date_across_the_rim, add_logo_on_the_rim, add_logo_in_the_corner, add_frame, add_bar, add_inset],
)
@pytest.mark.parametrize("cut", [1.0, 0.8])
def test_what_an_export_paints_beside_or_across_the_rim_is_left_out(add, cut):
    pixels = draw_field(400, 600, (200, 300), 180, noise=2)
    pixels[: int(200 - cut * 180)] = pixels[int(200 + cut * 180) :] = 4
    add(pixels)

    box = find_field_of_view(pixels)

    assert abs(box.left - 120) <= 18
    assert abs(box.right - 480) <= 18
    assert abs(box.top - (200 - cut * 180)) <= 18
    assert abs(box.bottom - (200 + cut * 180)) <= 18


@pytest.mark.parametrize("bars", [(0, 60), (60, 0)])
def test_a_square_view_between_black_bars_is_kept_to_its_edges(bars):
    view = np.full((240, 240, 3), (60, 90, 180), np.uint8)
    box = find_field_of_view(np.pad(view, ((bars[0],) * 2, (bars[1],) * 2, (0, 0))))

    edges = (bars[1], bars[0], bars[1] + 240, bars[0] + 240)
    assert np.abs(np.subtract((box.left, box.top, box.right, box.bottom), edges)).max() <= 3


def test_half_a_field_in_the_dark_is_found_where_it_is_bright():
    pixels = draw_field(400, 400, (200, 200), 180)
    pixels[:, :200] = 4

    box = find_field_of_view(pixels)

    assert (box.left, box.right) == (pytest.approx(200, abs=4), pytest.approx(380, abs=4))


@pytest.mark.parametrize("level", [90, 150])
def test_a_flat_grey_surround_becomes_black(level):
    pixels = draw_field(300, 400, (150, 200), 120, dark=0)
    outside = np.hypot(*(np.mgrid[:300, :400] - np.array([150, 200])[:, None, None])) > 120
    pixels[outside] = level
    decoded = cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR)

    cleaned = blacken_bright_surround(np.asarray(decoded, np.uint8))

    assert cleaned[:20].max() == 0
    assert find_field_of_view(cleaned).longest == pytest.approx(240, abs=12)


def test_a_white_margin_becomes_black_and_white_inside_the_field_stays():
    pixels = draw_field(300, 300, (150, 150), 120)
    pixels[140:160, 140:160] = 255
    framed = np.pad(pixels, ((0, 0), (80, 80), (0, 0)), constant_values=255)

    cleaned = blacken_bright_surround(framed)

    assert cleaned[:, :80].max() == 0
    assert cleaned[:, -80:].max() == 0
    assert cleaned[150, 230].min() == 255


def test_a_photograph_with_a_dark_surround_is_not_touched():
    pixels = draw_field(300, 300, (150, 150), 120)

    assert blacken_bright_surround(pixels) is pixels


def test_a_retina_without_surround_is_not_touched():
    pixels = draw_field(300, 300, (150, 150), 400)

    assert blacken_bright_surround(pixels) is pixels
