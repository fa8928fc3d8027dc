"""Calibrates a bundle anew: `python -m jobs.calibrate --bundle URI --data URI --out URI`.

The same network with intervals and conditioning of other patients: of a bundle that an earlier version published, so
that it takes known values, or of a clinic whose patients are others than those it was calibrated on.
"""

from jobs._command import run_command
from sepl.config import DeviceName
from sepl.storage import check_unpublished, resolve


def main(bundle: str, data: str, out: str, device: DeviceName = "auto") -> None:
    """Publish a new bundle with a bundle's weights, calibrated on the calibration patients of a prepared dataset.

    Args:
        bundle: A bundle's folder, or REGISTRY#ALIAS; it stays as it is.
        data: The prepared dataset; its tasks, units and image size must be the bundle's. Of the dataset that the bundle
            was trained on, and of any other, only the calibration patients are looked at.
        out: Where the new bundle goes: a new local folder, s3://… or gs://….
        device: auto is a GPU when there is one.
    """
    from sepl.bundle.format import write_bundle
    from sepl.bundle.manifest import MANIFEST
    from sepl.bundle.registry import open_bundle
    from sepl.data.dataset.dataset import PreparedDataset
    from sepl.scoring.compose import calibrated_anew
    from sepl.scoring.scorer import Scorer

    check_unpublished(resolve(out), MANIFEST)
    scorer = Scorer(open_bundle(bundle), device)
    dataset = PreparedDataset.open(data)
    made = write_bundle(out, **calibrated_anew(scorer, dataset))
    conditioning = made.manifest.conditioning
    assert conditioning is not None  # calibrated_anew always fits it
    print(f"calibrated on {conditioning.num_patients} patients of {dataset.uri}; known values may be given")
    print(f"bundle: {out} ({made.bundle_id})")


if __name__ == "__main__":
    run_command(main)
