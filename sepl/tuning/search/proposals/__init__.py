"""What proposes the next setting, and what it may know beforehand."""
