"""What a study is, and where its trials are remembered."""
