#include "hash_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::backend {
namespace {

using testing::HasSubstr;

TEST(HashMetrics, WorkersAreAddedUpAndBucketsHoldWhatIsBelowThem) {
  HashCounts first, second;
  first.observe(50us);
  first.observe(51us);
  second.observe(3s);
  const std::array<const HashCounts*, 2> workers = {&first, &second};
  const std::string text = render_hash_metrics(workers);
  EXPECT_THAT(text, HasSubstr("_bucket{source=\"cpp\",le=\"0.00005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{source=\"cpp\",le=\"0.0001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{source=\"cpp\",le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{source=\"cpp\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("hash_request_duration_seconds_sum{source=\"cpp\"} 3.000101\n"));
  EXPECT_THAT(text, HasSubstr("hash_request_duration_seconds_count{source=\"cpp\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("hash_requests_total{source=\"cpp\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nprocess_cpu_seconds_total "));
  EXPECT_THAT(text, HasSubstr("\nprocess_resident_memory_bytes "));
}

}  // namespace
}  // namespace weir::backend
