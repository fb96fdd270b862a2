"""The scripts, in the order in which ./run_benchmarks.sh runs them."""

from .compare import Compare
from .connection_pooling import ConnectionPooling
from .distribution import Distribution
from .failover import Failover
from .hash import Hash
from .lat_conn import LatConn
from .latency_percentiles import LatencyPercentiles
from .memory_profile import MemoryProfile
from .stability import Stability
from .throughput import Throughput

ALL = {
    script.name: script
    for script in (
        LatConn,
        Throughput,
        Failover,
        Distribution,
        LatencyPercentiles,
        MemoryProfile,
        ConnectionPooling,
        Stability,
        Hash,
        Compare,
    )
}
