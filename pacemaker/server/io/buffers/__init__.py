"""The budget of the bytes that connections hold, and who gives some up first."""
