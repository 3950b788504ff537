"""The tools of this repository, as their users run them."""
