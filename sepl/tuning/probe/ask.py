"""Whether and what a study probes, decided by its driver, which loads no torch."""

from collections.abc import Callable
from functools import partial

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.tuning.probe.record import ProbeRecord
from sepl.tuning.probe.sampling import SampledHead, sample_heads, sources_of
from sepl.tuning.settings import StudySettings
from sepl.tuning.space.space import SearchSpace

Tell = Callable[[str], object]

ONLY_PROBED = "the probe was all that was asked for"
"""Why a study is over that has no trial."""


def wanted_probe(
    settings: StudySettings, space: SearchSpace, dataset: PreparedDataset
) -> Callable[..., ProbeRecord] | None:
    """What to run where there is room for it, with `num_threads` and a `tell`; None where nothing is to be probed.

    `auto` probes a space whose trials begin with weights, on a dataset with validation patients. Raises ConfigError
    where there is nothing that `only` could probe.
    """
    if settings.probe == "off":
        return None
    can_judge = dataset.manifest.num_photographs.get("validation", 0) > 0
    sources = sources_of(space) if can_judge else ()
    if sources:
        heads = sample_heads(space, settings.probe_heads)
        return partial(_run, settings.storage, settings.study, heads, sources, settings.probe_cache_gb)
    if settings.probe == "only":
        lacking = "initial weights (weights other than 'none') and a head that frozen features can train"
        raise ConfigError(
            f"--probe should be only where the search space has {lacking}, and the dataset validation patients; "
            f"{space.name} on {dataset.uri} has not"
        )
    return None


def agreement_with_trials(settings: StudySettings) -> Callable[[Tell], ProbeRecord | None]:
    """What to run once the trials are over: see `sepl.tuning.probe.measure`."""
    return partial(_measure, settings.storage, settings.study)


def _run(
    storage: str,
    study: str,
    heads: tuple[SampledHead, ...],
    sources: tuple[tuple[str, str, bool], ...],
    cache_gb: float,
    tell: Tell,
    *,
    num_threads: int = 1,
) -> ProbeRecord:
    import torch  # which the driver does without

    from sepl.tuning.probe.stage import ProbeOptions, run_probe

    torch.set_num_threads(num_threads)
    options = ProbeOptions(num_heads=len(heads), cache_gb=cache_gb)
    return run_probe(storage, study, heads, sources, options, tell)


def _measure(storage: str, study: str, tell: Tell) -> ProbeRecord | None:
    from sepl.tuning.probe.measure import measure_agreement

    return measure_agreement(storage, study, tell)
