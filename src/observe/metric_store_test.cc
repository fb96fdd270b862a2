#include "observe/metric_store.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <thread>

namespace weir::observe {
namespace {

std::set<const Series*> visible(const MetricStore& store) {
  std::set<const Series*> found;
  MetricStore::Reading(store).for_each([&](const Series& series) { found.insert(&series); });
  return found;
}

TEST(BucketLayout, BoundsAreInclusive) {
  for (Family family : {Family::kRequestDuration, Family::kRequestSize}) {
    const BucketLayout& layout = *describe(family).buckets;
    EXPECT_EQ(layout.find(0), 0u);
    for (std::size_t i = 0; i < layout.size(); ++i) {
      EXPECT_EQ(layout.find(layout.bound(i)), i);
      EXPECT_EQ(layout.find(layout.bound(i) + 1), i + 1);
    }
    EXPECT_EQ(layout.find(~std::uint64_t{0}), layout.size());
  }
}

RC_GTEST_PROP(BucketLayout, FindsWhatASearchFinds, ()) {
  const BucketLayout& layout = *describe(Family::kRequestDuration).buckets;
  const auto value = *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange(0, 64);
  std::size_t expected = 0;
  while (expected < layout.size() && layout.bound(expected) < value) ++expected;
  RC_ASSERT(layout.find(value) == expected);
}

TEST(Family, BucketsAreTheDocumentedOnes) {
  const BucketLayout& durations = *describe(Family::kRequestDuration).buckets;
  ASSERT_EQ(durations.size(), 16u);
  EXPECT_EQ(durations.bound(0), 100'000u);
  EXPECT_EQ(durations.bound(15), 10'000'000'000u);
  const BucketLayout& sizes = *describe(Family::kResponseSize).buckets;
  ASSERT_EQ(sizes.size(), 9u);
  EXPECT_EQ(sizes.bound(0), 256u);
  EXPECT_EQ(sizes.bound(8), 16u << 20);
}

TEST(Family, StatusLabels) {
  EXPECT_EQ(status_label(200), "200");
  EXPECT_EQ(status_label(599), "599");
  EXPECT_EQ(status_label(0), "0");
  EXPECT_EQ(status_label(1000), "0");
}

TEST(MetricStore, TheSameLabelsAreTheSameCell) {
  MetricStore store("3");
  store.counter(Family::kRequests, {"web", "api", "GET", "200"})->add();
  const CounterRef again = store.counter(Family::kRequests, {"web", "api", "GET", "200"});
  again->add(2);
  EXPECT_EQ(again->value(), 3u);
  EXPECT_EQ(store.counter(Family::kRequests, {"web", "ap", "iGET", "200"})->value(), 0u);
  EXPECT_EQ(store.series_count(), 2u);
}

TEST(MetricStore, FillsInTheWorker) {
  MetricStore store("3");
  store.gauge(Family::kPoolConnections, {"app", "b1", "http1", "idle"})->set(4);
  MetricStore::Reading reading(store);
  int seen = 0;
  reading.for_each([&](const Series& series) {
    ++seen;
    EXPECT_EQ(series.value_of(Label::kWorker), "3");
    EXPECT_EQ(series.value_of(Label::kState), "idle");
    EXPECT_EQ(series.value_of(Label::kRoute), "");
    EXPECT_EQ(series.gauge().value(), 4);
  });
  EXPECT_EQ(seen, 1);
}

TEST(MetricStore, RemovedSeriesStartAgainFromZero) {
  MetricStore store;
  store.counter(Family::kBackendRequests, {"app", "b1", "200"})->add(7);
  store.counter(Family::kBackendRequests, {"app", "b2", "200"})->add(5);
  EXPECT_EQ(store.remove_if([](const Series& series) { return series.value_of(Label::kBackend) == "b1"; }), 1u);
  EXPECT_EQ(visible(store).size(), 1u);
  EXPECT_EQ(store.retained_count(), 0u);
  EXPECT_EQ(store.counter(Family::kBackendRequests, {"app", "b1", "200"})->value(), 0u);
  EXPECT_EQ(store.counter(Family::kBackendRequests, {"app", "b2", "200"})->value(), 5u);
}

TEST(MetricStore, AHandleOutlivesTheRemovalOfItsSeries) {
  MetricStore store;
  CounterRef handle = store.counter(Family::kRetries, {"app", "reset"});
  EXPECT_EQ(store.remove_if([](const Series&) { return true; }), 1u);
  handle->add();
  EXPECT_TRUE(visible(store).empty());
  EXPECT_EQ(store.retained_count(), 1u);
  CounterRef copy = handle;
  handle.reset();
  EXPECT_EQ(store.retained_count(), 1u);
  copy = {};
  EXPECT_EQ(store.retained_count(), 0u);
}

TEST(MetricStore, AReadingKeepsWhatItSaw) {
  MetricStore store;
  store.gauge(Family::kTotalBackends, {"app"})->set(9);
  {
    MetricStore::Reading reading(store);
    const Series* seen = nullptr;
    reading.for_each([&](const Series& series) { seen = &series; });
    store.remove_if([](const Series&) { return true; });
    store.collect_garbage();
    EXPECT_EQ(store.retained_count(), 1u);
    EXPECT_EQ(seen->gauge().value(), 9);
    EXPECT_TRUE(seen->detached());
  }
  EXPECT_EQ(store.retained_count(), 0u);
}

// The store against a map, over random creations and removals.
RC_GTEST_PROP(MetricStore, AgreesWithAMap, ()) {
  MetricStore store;
  std::map<std::string, std::uint64_t> model;
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned char, unsigned char>>>(
      rc::gen::pair(rc::gen::inRange<unsigned char>(0, 120), rc::gen::arbitrary<unsigned char>()));
  for (const auto& [name, action] : steps) {
    const std::string label = std::to_string(name);
    if (action % 4 == 0) {
      const auto goes = [&](std::string_view text) { return text.ends_with(label.back()); };
      store.remove_if([&](const Series& series) { return goes(series.label(0)); });
      std::erase_if(model, [&](const auto& item) { return goes(item.first); });
    } else {
      store.counter(Family::kAcceptPaused, {label})->add(action);
      model[label] += action;
    }
  }
  RC_ASSERT(store.series_count() == model.size());
  for (const auto& [label, value] : model) RC_ASSERT(store.counter(Family::kAcceptPaused, {label})->value() == value);
  RC_ASSERT(store.series_count() == model.size());
  RC_ASSERT(store.retained_count() == 0u);
}

TEST(MetricStore, IsReadWhileItIsWritten) {
  MetricStore store("0");
  std::atomic<int> readings{0};
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (readings.fetch_add(1) < 200) {
      MetricStore::Reading reading(store);
      reading.for_each([&](const Series& series) {
        if (series.family() != Family::kWorkerRequests) return;
        EXPECT_GE(series.counter().value(), last);
        last = series.counter().value();
      });
    }
  });
  const CounterRef steady = store.counter(Family::kWorkerRequests);
  std::uint64_t rounds = 0;
  for (; readings.load() < 200; ++rounds) {
    steady->add();
    const std::string name = "b" + std::to_string(rounds % 50);
    store.histogram(Family::kBackendRequestDuration, {"app", name})->observe(rounds * 1000);
    if (rounds % 37 == 0) {
      store.remove_if([](const Series& series) { return series.family() == Family::kBackendRequestDuration; });
    }
    // A reader that frees more slowly than this loop removes would fill the memory.
    while (store.retained_count() > 10'000) {
      store.collect_garbage();
      std::this_thread::yield();
    }
  }
  reader.join();
  store.collect_garbage();
  EXPECT_EQ(store.retained_count(), 0u);
  EXPECT_EQ(steady->value(), rounds);
}

TEST(MetricStore, WhatIsNotWantedCanBeWrittenAndIsNotShown) {
  MetricStore store("0");
  std::string wanted = "web";
  store.show_only([&](const Series& series) { return series.value_of(Label::kListener) == wanted; });
  const auto shown = [&] {
    std::size_t count = 0;
    MetricStore::Reading(store).for_each([&](const Series&) { ++count; });
    return count;
  };
  {
    const CounterRef gone = store.counter(Family::kConnectionsRefused, {"old", "overloaded"});
    gone->add(3);
    store.counter(Family::kConnectionsRefused, {"old", "overloaded"})->add(1);  // without a handle that is kept
    EXPECT_EQ(gone->value(), 3U);
    EXPECT_EQ(store.series_count(), 0U);
    EXPECT_EQ(shown(), 0U);
    EXPECT_EQ(store.retained_count(), 1U);
    store.counter(Family::kConnectionsRefused, {"web", "overloaded"})->add(1);
    EXPECT_EQ(shown(), 1U);
  }
  EXPECT_EQ(store.retained_count(), 0U);
  wanted = "old";  // it has come back
  EXPECT_EQ(store.counter(Family::kConnectionsRefused, {"old", "overloaded"})->value(), 0U);
  EXPECT_EQ(shown(), 2U);
}

}  // namespace
}  // namespace weir::observe
