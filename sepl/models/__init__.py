"""Networks in plain torch: `build` makes the one that settings name, `predict` asks it; families, parts, backbones."""
