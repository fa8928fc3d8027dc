"""Training: batches from a prepared dataset, augmentation, losses, and the loop of one trial."""
