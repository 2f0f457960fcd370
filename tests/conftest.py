"""What holds for every test."""

from hypothesis import settings

# No deadline: how long an example takes is the machine's affair, and two cores may be busy.
settings.register_profile("sortbox", deadline=None, max_examples=60)
settings.load_profile("sortbox")
