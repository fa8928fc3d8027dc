"""timm models as image encoders, without tasks: how they are built, their initial weights, layers and stages."""
