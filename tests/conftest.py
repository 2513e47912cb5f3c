"""What holds for every test: the profiles of the property tests."""

from hypothesis import HealthCheck, settings

# Nothing here is timed (a deadline and the check for slow data are clocks in disguise), and `make
# test` draws the same examples each time: red means that the code changed. The search for new
# examples is `make soak`.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", UNTIMED, derandomize=True, max_examples=100, print_blob=True)
settings.register_profile("soak", UNTIMED, max_examples=5_000, print_blob=True)
settings.load_profile("steady")
