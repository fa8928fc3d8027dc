"""What a trial's results and the study's judgement are called."""

METRIC = "best_skill"
"""Mean skill over tasks on the validation patients, best so far."""

SKILL_ERROR = "skill_error"
"""Standard error of that over patients, of the epoch that set it."""

JUDGED = ("unknown_skill", "known_skill", SKILL_ERROR)
"""What that is the mean of in a study that knows values: with nothing known, and with them; and its error. Also Optuna
attributes."""

TIME_ATTR = "epoch"
"""Not Tune's `training_iteration`, which begins at 1 again when a trial goes on under another driver."""

IS_LAST = "is_last"
"""Whether a trial is over by itself: all its epochs are done, or it got no better for as long as its config allows."""

WAITS = "waits"
"""Whether a trial ended through no fault of its own, its `failure` says of what: it is run again."""

PAUSED = "paused"
"""Whether a trial's scheduler has paused it: it is not over, and may go on from its checkpoint. Also an attribute."""

UNSAVED = "unsaved"
"""Why the last checkpoint of this process could not be saved."""
