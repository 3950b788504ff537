"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy with Java beside the tests makes single examples slow
# now and then; and a failure must be repeatable from what it prints.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")
