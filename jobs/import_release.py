"""Imports a model that the authors' code trained.

    python -m jobs.import_release --weights best_model.pth --label-scales scales.json --out URI

For checkpoints that the released SePL code (github.com/shko0215/SePL, commit b9c7ffd) saved; docs/import_release.md
tells how to export the scales and what differs. Nothing but tensors is read from the checkpoint.
"""

from pathlib import Path

from jobs._command import run_command


def main(weights: Path, label_scales: Path, out: str, name: str = "released") -> None:
    """Turns a released checkpoint into a bundle that gives the same outputs.

    Args:
        weights: best_model.pth, as the released training code saved it.
        label_scales: JSON file with centre and scale of each label column.
        out: Where the bundle goes: a new local folder, s3://… or gs://….
        name: Of the model; the bundle's id begins with it.
    """
    from sepl.bundle.format import write_bundle
    from sepl.bundle.release import release_content

    bundle = write_bundle(out, **release_content(weights, label_scales, name))
    print(f"bundle: {out} ({bundle.bundle_id})")
    print("neither calibrated nor evaluated here: `python -m jobs.evaluate` says how good it is on patients of yours")


if __name__ == "__main__":
    run_command(main)
