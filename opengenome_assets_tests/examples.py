"""How many examples Hypothesis tries: as many as a test asks for, or a tenth of them in the profile ``quick``.

No example has a deadline: the first one compiles, and a busy machine is no fault of the code.
"""

from hypothesis import settings

USUAL = 100  # in Hypothesis' own profiles, one of which is in use unless another is asked for

settings.register_profile("usual", settings.default, deadline=None)
settings.load_profile("usual")
settings.register_profile("quick", max_examples=USUAL // 10)


def share(number: int) -> int:
    """Return the number of examples, in the profile in use, of a test that needs ``number`` in the usual one."""
    return max(1, number * settings.default.max_examples // USUAL)
