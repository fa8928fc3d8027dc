"""Who proposes, who stops, what it may cost."""
