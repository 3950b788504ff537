"""What each peer uses, and what it may use."""
