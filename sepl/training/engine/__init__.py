"""What every training run does, whatever is learned: steps, schedule, moving average, random streams, exact saves.

An `Engine` (`sepl.training.engine.run`) is given a network and an `Objective` (`sepl.training.engine.objective`), which
says what a batch is, what it teaches and which epoch is the best. It knows no task, label or skill.
"""
