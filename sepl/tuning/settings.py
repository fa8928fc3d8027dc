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
    sampler: Literal["tpe", "tpe_rank", "cqr", "random"] = "tpe"
    """Who proposes: Optuna's TPE; TPE on ranks within the last rung; conformalised quantile regression; chance."""
    max_parameters: int | None = None
    """Configurations whose network has more are refused before they are trained."""
    max_ms_per_photograph: float | None = None
    """Configurations whose network takes longer for one photograph on the machines of the trials are refused."""
    finalists: int = 3
    """The best so many configurations are trained again on fresh folds before one wins; 1: the first of the search
    wins as it stands."""
    finalist_seeds: int = 3
    """How often each of them is trained again, each time with another seed and fold."""
    compare: bool = False
    """Train the paper's setting and hard sharing on the same folds, for the report."""
    ensemble: int = 0
    """Publish an ensemble of so many members at most, chosen among the kept checkpoints; 0: a single model."""
    probe: Literal["auto", "off", "only"] = "auto"
    """Try heads on frozen features before the trials: auto where the space has initial weights; only: no trials."""
    probe_heads: int = 64
    """Heads that the probe tries on each backbone."""
    probe_cache_gb: float = 4.0
    """Features that the storage keeps for its studies, in GB; those used longest ago go first."""
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
    scheduler: Literal["asha", "promotion", "pasha", "top_k"] = "asha"
    """asha stops trials at its rungs, promotion pauses them and goes on with those that prove good, pasha does so up to
    a number of epochs that grows while the order of trials changes, top_k runs the best tenth after an epoch of all."""
    grace_epochs: int | Literal["auto"] = 1
    """Epochs before a trial may be stopped or paused, the first rung, never within the learning rate's warm-up; auto:
    where early skill ranks trials as their end does."""
    checkpoint_seconds: float = 30.0
    """How much training an interruption may cost a trial."""
    seed: int = 0
