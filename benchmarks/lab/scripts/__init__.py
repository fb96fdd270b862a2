"""The scripts, in the order in which ./run_benchmarks.sh runs them."""

from .distribution import Distribution
from .lat_conn import LatConn
from .throughput import Throughput

ALL = {script.name: script for script in (LatConn, Throughput, Distribution)}
