"""The question of a study: a search space, its first points and task splits."""
