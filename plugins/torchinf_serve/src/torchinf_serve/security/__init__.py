"""Who may ask, how much, and what of an error they are told."""
