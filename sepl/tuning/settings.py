"""What a search is asked for."""

from typing import Literal

from sepl.settings import Settings


class StudySettings(Settings):
    """What `jobs.search` takes; `plan_study` checks it, naming the options as they are typed."""

    data: str
    """URI of the prepared dataset."""
    space: str
    """Path of a search space's .py file, or its dotted module name."""
    storage: str
    """URI of the folder that holds studies and the registry of bundles."""
    study: str
    """The study's name: its folder in the storage."""
    num_trials: int = 20
    """Trials that the study comes to, those stopped early and an interrupted driver's among them."""
    time_budget: str | None = None
    """Such as 45s, 90m, 2h: no further epoch after that; counts from this start."""
    gpu_hours: float | None = None
    """GPU time of all trials of the study, an interrupted driver's among them."""
    cpu_hours: float | None = None
    """Where there is no GPU: time of CPU cores, of all trials of the study."""
    price_per_hour: float | None = None
    """Of one GPU for an hour, where there is none of one CPU core: money, in whatever currency."""
    max_cost: float | None = None
    """Money for all trials of the study, at that price."""
    stop_when_flat: bool = False
    """Stop when what the next tenth of the budget may still gain is below the noise of the validation skill."""
    affinity: str | None = None
    """File of `jobs.affinity`: its best task splits are offered beside the search space's own."""
    known_pattern: str | None = None
    """Values that will be known of patients, such as age+sex: trials are judged by the mean of their skills with
    nothing known and with these known."""
    resume: bool = False
    """Go on with an interrupted study."""
    from_study: str | None = None
    """Begin with the trials of another study of the storage: of the same data and space their values count, else their
    settings are a prior."""
    test_again: bool = False
    """Read the sealed test patients although the study has read them before; the bundle and its card will say so."""
    retry_failed: bool = False
    """With --resume: trials whose process died for good are tried once more."""
    log: Literal["mlflow", "wandb"] | None = None
    """Log every epoch there too, beside the files of TensorBoard; needs that package."""
    address: str | None = None
    """Of a running Ray cluster, auto or HOST:PORT; left out: this machine."""
    optuna_url: str | None = None
    """Database of the trials, such as postgresql://user@host/db; without it a file beside the study."""
    trials_per_gpu: int = 1
    """Above 1 trials share a GPU and its memory evenly."""
    cpus_per_trial: int | None = None
    """Without it the CPUs are shared out evenly."""
    grace_epochs: int = 1
    """Epochs before ASHA may stop a trial; its first rung."""
    checkpoint_seconds: float = 30.0
    """How much training an interruption may cost a trial."""
    seed: int = 0
