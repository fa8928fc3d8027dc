"""sepl: search, prove and serve self-propagative multi-task models of fundus photographs."""

__version__ = "0.1.0"
