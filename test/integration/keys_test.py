#!/usr/bin/env python3
"""Each leaf key of the accepted configuration, with two values of it and a difference that is seen from outside."""

import unittest

from harness import Case, weir
from keys_cluster import ClusterKeys, HealthKeys, RetryKeys  # noqa: F401
from keys_listener import ListenerKeys  # noqa: F401
from keys_root import RootKeys  # noqa: F401
from keys_route import FilterKeys, RouteKeys  # noqa: F401
from keys_table import SHOWN


class Completeness(Case):
    def test_every_accepted_key_is_shown(self):
        done = weir("check", "--keys")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        keys = done.stdout.split()
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(sorted(set(keys) - set(SHOWN)), [], "keys without a test: add one that shows what they do")
        self.assertEqual(sorted(set(SHOWN) - set(keys)), [], "tests for keys that are not accepted")


if __name__ == "__main__":
    unittest.main()
