"""How the losses or gradients of several tasks become one step; `build.build_weighting` makes the one that is named."""
