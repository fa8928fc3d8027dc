import cv2
import numpy as np
import pytest

from sepl.data.imaging.photograph import ImageSpec, examine_photograph, read_photograph
from sepl.data.imaging.picture_code import encode_thumbnail
from sepl.data.imaging.quality import measure_thumbnail, thumbnail
from sepl.errors import ConfigError
from sepl.simulation.cohort import simulate_patient


def draw_disc(height, width, radius):
    pixels = np.zeros((height, width, 3), np.uint8)
    cv2.circle(pixels, (width // 2, height // 2), radius, (40, 90, 200), -1)
    return pixels


def encode(extension, pixels):
    return cv2.imencode(extension, pixels)[1].tobytes()


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("size", [16, 100, 224, 700])
def test_pixels_are_a_contiguous_square_of_red_green_blue(extension, size):
    pixels = read_photograph(encode(extension, draw_disc(400, 600, 150)), ImageSpec(size=size))

    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.abs(pixels[size // 2, size // 2].astype(int) - (200, 90, 40)).max() < 8


@pytest.mark.parametrize(("height", "width"), [(300, 900), (900, 300), (260, 260)])
def test_a_circle_stays_a_circle_that_fills_the_square(height, width):
    pixels = read_photograph(encode(".png", draw_disc(height, width, 120)), ImageSpec(size=100))

    bright = pixels.max(axis=2) > 100
    assert bright.any(axis=0).sum() == pytest.approx(97, abs=4)
    assert bright.any(axis=1).sum() == pytest.approx(97, abs=4)


def test_a_truncated_circle_is_padded_with_black():
    pixels = read_photograph(encode(".png", draw_disc(200, 600, 150)), ImageSpec(size=120))

    assert pixels[:15].max() == 0
    assert pixels[-15:].max() == 0
    assert pixels[60, 60].max() > 150


def test_the_field_of_view_is_kept_whole_when_asked():
    whole = read_photograph(encode(".png", draw_disc(400, 400, 100)), ImageSpec(size=100, field_of_view=False))

    assert (whole.max(axis=2) > 100).any(axis=0).sum() == pytest.approx(50, abs=2)


def test_a_small_field_in_a_large_jpeg_is_not_read_from_a_thumbnail():
    pixels = np.zeros((1600, 1600, 3), np.uint8)
    rows, columns = np.mgrid[:1600, :1600]
    stripes = ((columns // 2) % 2 * 160 + 60).astype(np.uint8)
    inside = np.hypot(rows - 800, columns - 800) < 150
    pixels[inside] = stripes[inside][:, None]
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()

    read = read_photograph(jpeg, ImageSpec(size=300))

    assert read[100:200, 100:200].std() > 40  # at an eighth of the size, the stripes would be one grey


@pytest.mark.parametrize("size", [0, 15, 5000])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ConfigError, match="size should be"):
        ImageSpec.parse({"size": size}, "image size")


@pytest.fixture(scope="module")
def jpeg():
    return simulate_patient(3, 300, 1).files[0]


@pytest.mark.parametrize("spec", [{}, {"clahe": True}, {"mirror_left": True}, {"field_of_view": False}])
@pytest.mark.parametrize("size", [32, 128])
def test_examining_gives_the_pixels_of_reading(jpeg, spec, size):
    spec = ImageSpec(size=size, **spec)

    seen = examine_photograph(jpeg, spec, eye="left")

    assert np.array_equal(seen.pixels_HWC, read_photograph(jpeg, spec, eye="left"))


def test_copies_of_a_file_share_its_digest_whatever_their_headers_say(jpeg):
    comment = b"\xff\xfe\x00\x06note"
    copy, other = jpeg[:2] + comment + jpeg[2:], simulate_patient(4, 300, 1).files[0]

    digests = [examine_photograph(source, ImageSpec(size=128)).sha256 for source in (jpeg, copy, other)]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("changes", [{"clahe": True}, {"mirror_left": True}])
def test_measures_and_codes_are_of_the_photograph_not_of_what_is_made_of_it(jpeg, changes):
    plain = examine_photograph(jpeg, ImageSpec(size=128))
    changed = examine_photograph(jpeg, ImageSpec(size=128, **changes), eye="left")

    assert not np.array_equal(changed.pixels_HWC, plain.pixels_HWC)
    assert (changed.quality, changed.signature) == (plain.quality, plain.signature)
    small = thumbnail(plain.pixels_HWC)
    assert changed.perceptual == encode_thumbnail(small).perceptual
    assert changed.quality == measure_thumbnail(small)


def test_a_small_working_size_does_not_make_a_photograph_look_blurred(jpeg):
    small, large = (examine_photograph(jpeg, ImageSpec(size=size)).quality for size in (32, 224))

    assert small.sharpness == pytest.approx(large.sharpness, rel=0.2)


@pytest.mark.parametrize(("eye", "is_mirrored"), [("left", True), ("right", False), ("", False)])
def test_left_eyes_alone_are_mirrored(jpeg, eye, is_mirrored):
    plain = read_photograph(jpeg, ImageSpec(size=64))

    read = read_photograph(jpeg, ImageSpec(size=64, mirror_left=True), eye=eye)

    assert np.array_equal(read, plain[:, ::-1] if is_mirrored else plain)
    assert read.flags.c_contiguous


def test_clahe_raises_the_contrast_of_lightness_and_keeps_hues(jpeg):
    plain = read_photograph(jpeg, ImageSpec(size=128))
    equalised = read_photograph(jpeg, ImageSpec(size=128, clahe=True))

    before, after = (cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(int) for pixels in (plain, equalised))
    centre = (slice(32, 96), slice(32, 96))
    detail_before, detail_after = (
        np.abs(lab[..., 0] - cv2.blur(lab[..., 0].astype(np.float32), (9, 9)))[centre].mean() for lab in (before, after)
    )
    assert detail_after > 1.3 * detail_before
    assert np.abs(after[centre][..., 1:] - before[centre][..., 1:]).mean() < 4
