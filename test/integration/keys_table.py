"""Which test shows what a key of the configuration does: two values of it, and a difference seen from outside."""

import time

from harness import Case, until

SHOWN = {}  # key -> name of its test


def shows(*keys):
    def note(test):
        for key in keys:
            assert key not in SHOWN, key
            SHOWN[key] = test.__qualname__
        return test

    return note


class KeyCase(Case):
    def pair(self, make, *values):
        """Weir with each of two configurations at once."""
        return [self.weir(make(value)) for value in values]

    def assert_only_first(self, first, second, what):
        """`first` comes true while `second` still is not: for what takes long, without waiting for it."""
        until(first, what)
        self.assertFalse(second(), f"{what}: with the other value too")

    def assert_within(self, seconds, began):
        self.assertLess(time.monotonic() - began, seconds)
