"""What trials map: manifest, shards, scales, the machine's cache."""
