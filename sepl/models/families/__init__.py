"""One file a family of networks; `sepl.models.build` makes the one that is named."""
