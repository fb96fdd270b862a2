#include "observe/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <thread>

namespace weir::observe {
namespace {

using Sample = std::pair<std::string, std::map<std::string, std::string>>;  // name and labels

struct Parsed {
  std::map<Sample, double> samples;
  std::map<std::string, std::string> types;  // by family
  std::vector<std::string> order;
};

// A strict parser of both formats: throws at whatever the grammar does not allow.
class Parser {
 public:
  Parser(std::string_view text, bool open_metrics) : text_(text), open_metrics_(open_metrics) {}

  Parsed parse() {
    while (!text_.empty()) {
      check(!ended_, "text after # EOF");
      const std::size_t end = text_.find('\n');
      check(end != std::string_view::npos, "the last line has no end");
      line(text_.substr(0, end));
      text_.remove_prefix(end + 1);
    }
    check(ended_ == open_metrics_, "# EOF missing or misplaced");
    for (const auto& [name, type] : parsed_.types) {
      if (type == "histogram") check_histogram(name);
    }
    return parsed_;
  }

 private:
  static void check(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
  }

  void line(std::string_view line) {
    if (line == "# EOF") {
      ended_ = true;
    } else if (line.starts_with("# ")) {
      meta(line.substr(2));
    } else {
      sample(line);
    }
  }

  void meta(std::string_view line) {
    const std::string kind(line.substr(0, line.find(' ')));
    line.remove_prefix(kind.size() + 1);
    const std::string name(line.substr(0, line.find(' ')));
    const std::string rest(line.substr(name.size() + 1));
    if (kind == "HELP") {
      check(helped_.insert(name).second, "second HELP of " + name);
      family_ = name;
      return;
    }
    check(family_ == name, kind + " outside of its family: " + name);
    if (kind == "TYPE") {
      check(parsed_.types.emplace(name, rest).second, "second TYPE of " + name);
    } else {
      check(kind == "UNIT" && open_metrics_ && name.ends_with("_" + rest), "bad UNIT of " + name);
    }
  }

  void sample(std::string_view line) {
    std::size_t end = 0;
    while (end < line.size() && (std::isalnum(static_cast<unsigned char>(line[end])) || line[end] == '_')) ++end;
    Sample key{std::string(line.substr(0, end)), {}};
    line.remove_prefix(end);
    if (line.starts_with("{")) line = labels(line.substr(1), key.second);
    check(line.starts_with(" ") && line.size() > 1, "no value");
    const std::string number(line.substr(1));
    char* rest = nullptr;
    const double value = std::strtod(number.c_str(), &rest);
    check(*rest == '\0', "bad number " + number);
    check_name(key.first);
    check(parsed_.samples.emplace(key, value).second, "the same series twice: " + key.first);
    if (!key.second.contains("le")) {
      std::string shown = key.first;
      for (const auto& [name, text] : key.second) shown += "|" + text;
      parsed_.order.push_back(shown);
    }
  }

  std::string_view labels(std::string_view line, std::map<std::string, std::string>& out) {
    while (true) {
      const std::size_t equals = line.find("=\"");
      check(equals != std::string_view::npos && equals > 0, "no label");
      const std::string name(line.substr(0, equals));
      line.remove_prefix(equals + 2);
      std::string value;
      while (!line.empty() && line[0] != '"') {
        if (line[0] == '\\') {
          check(line.size() > 1 && std::string_view("\\\"n").contains(line[1]), "bad escape");
          value += line[1] == 'n' ? '\n' : line[1];
          line.remove_prefix(2);
        } else {
          value += line[0];
          line.remove_prefix(1);
        }
      }
      check(!line.empty(), "unfinished label");
      check(out.emplace(name, value).second, "the same label twice");
      line.remove_prefix(1);
      if (line.starts_with("}")) return line.substr(1);
      check(line.starts_with(","), "no comma");
      line.remove_prefix(1);
    }
  }

  void check_name(const std::string& name) const {
    const std::string& type = parsed_.types.at(family_);
    std::set<std::string> allowed = {family_};
    if (type == "histogram") allowed = {family_ + "_bucket", family_ + "_sum", family_ + "_count"};
    if (open_metrics_ && type == "counter") allowed = {family_ + "_total"};
    if (open_metrics_ && type == "info") allowed = {family_ + "_info"};
    check(allowed.contains(name), name + " is not of " + family_);
  }

  void check_histogram(const std::string& name) const {
    std::map<std::map<std::string, std::string>, std::map<double, double>> buckets;
    for (const auto& [key, value] : parsed_.samples) {
      if (key.first != name + "_bucket") continue;
      auto rest = key.second;
      const std::string bound = rest.at("le");
      check(!open_metrics_ || bound == "+Inf" || bound.contains('.'), "le is not a float");
      rest.erase("le");
      buckets[rest][std::stod(bound)] = value;
    }
    for (const auto& [key, values] : buckets) {
      double last = 0;
      for (const auto& [bound, value] : values) {
        check(value >= last, "buckets are not cumulative");
        last = value;
      }
      check(std::isinf(values.rbegin()->first), "no +Inf");
      check(parsed_.samples.at({name + "_count", key}) == last, "+Inf is not the count");
      check(parsed_.samples.contains({name + "_sum", key}), "no sum");
    }
  }

  std::string_view text_;
  const bool open_metrics_;
  bool ended_ = false;
  std::string family_;
  std::set<std::string> helped_;
  Parsed parsed_;
};

constexpr RenderOptions kText{};
constexpr RenderOptions kOpenMetrics{.format = ExpositionFormat::kOpenMetrics100};

std::string render_text(std::vector<const MetricStore*> stores, const RenderOptions& options) {
  std::string out;
  render(stores, nullptr, options, out);
  return out;
}

Parsed parse(std::string_view text, const RenderOptions& options) {
  return Parser(text, options.format == ExpositionFormat::kOpenMetrics100).parse();
}

TEST(Exposition, WritesExactlyThis) {
  MetricStore store("0");
  store.counter(Family::kRequests, {"web", "", "GET", "200"})->add(3);
  store.histogram(Family::kRequestDuration, {"web", "api"})->observe(2'600'000);
  EXPECT_EQ(render_text({&store}, kText),
            "# HELP lb_requests_total Requests that were answered or given up.\n"
            "# TYPE lb_requests_total counter\n"
            "lb_requests_total{listener=\"web\",route=\"\",method=\"GET\",status_code=\"200\"} 3\n"
            "# HELP lb_request_duration_seconds From a request's first byte to the last byte of its answer.\n"
            "# TYPE lb_request_duration_seconds histogram\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.0001\"} 0\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.00025\"} 0\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.0005\"} 0\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.001\"} 0\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.0025\"} 0\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.005\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.01\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.025\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.05\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.1\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.25\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"0.5\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"1\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"2.5\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"5\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"10\"} 1\n"
            "lb_request_duration_seconds_bucket{listener=\"web\",route=\"api\",le=\"+Inf\"} 1\n"
            "lb_request_duration_seconds_sum{listener=\"web\",route=\"api\"} 0.0026\n"
            "lb_request_duration_seconds_count{listener=\"web\",route=\"api\"} 1\n");
}

TEST(Exposition, OpenMetricsNamesFamiliesItsOwnWay) {
  MetricStore store("0");
  store.counter(Family::kBytes, {"web", "sent"})->add(10);
  store.gauge(Family::kBuildInfo, {"1.0", "abc", "clang"})->set(1);
  EXPECT_EQ(render_text({&store}, kOpenMetrics),
            "# HELP lb_bytes Bytes on the clients' wire.\n"
            "# TYPE lb_bytes counter\n"
            "# UNIT lb_bytes bytes\n"
            "lb_bytes_total{listener=\"web\",direction=\"sent\"} 10\n"
            "# HELP lb_build What is running.\n"
            "# TYPE lb_build info\n"
            "lb_build_info{version=\"1.0\",commit=\"abc\",compiler=\"clang\"} 1\n"
            "# EOF\n");
}

void use_everything(MetricStore& store, const std::string& name) {
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    const FamilyDescriptor& descriptor = describe(family);
    const auto make = [&](MetricStore::Labels labels) {
      switch (descriptor.type) {
        case CellType::kCounter:
          store.counter(family, labels)->add(2);
          break;
        case CellType::kHistogram:
          store.histogram(family, labels)->observe(5000);
          break;
        default:
          store.gauge(family, labels)->set(1);
      }
    };
    switch (descriptor.label_count - (descriptor.per_worker ? 1 : 0)) {
      case 0:
        make({});
        break;
      case 1:
        make({name});
        break;
      case 2:
        make({name, "y"});
        break;
      case 3:
        make({name, "y", "z"});
        break;
      default:
        make({name, "y", "z", "200"});
        break;
    }
  }
}

TEST(Exposition, EveryFamilyIsReadBackFromBothFormats) {
  MetricStore store("0"), other("1");
  use_everything(store, "a");
  use_everything(store, "b");
  use_everything(other, "a");
  const ProcessMetrics process{.cpu_seconds = 1.25,
                               .start_time_seconds = 1.7e9,
                               .resident_memory_bytes = 4096,
                               .virtual_memory_bytes = 8192,
                               .open_fds = 7,
                               .max_fds = 1024};
  for (const auto& options : {kText, kOpenMetrics}) {
    std::string text;
    render(std::vector<const MetricStore*>{&store, &other}, &process, options, text);
    const Parsed parsed = parse(text, options);
    EXPECT_EQ(parsed.types.size(), kFamilyCount + 6);
    EXPECT_EQ((parsed.samples.at({"process_cpu_seconds_total", {}})), 1.25);
    EXPECT_EQ((parsed.samples.at({"process_start_time_seconds", {}})), 1.7e9);
    EXPECT_EQ((parsed.samples.at({"lb_request_size_bytes_sum", {{"listener", "a"}, {"route", "y"}}})), 10000);
    EXPECT_EQ((parsed.samples.at({"lb_worker_requests_total", {{"worker", "1"}}})), 2);
  }
}

TEST(Exposition, AddsUpTheStores) {
  MetricStore first("0"), second("1");
  first.gauge(Family::kActiveConnections, {"web"})->set(5);
  second.gauge(Family::kActiveConnections, {"web"})->set(-2);
  first.gauge(Family::kPoolConnections, {"app", "b", "http1", "idle"})->set(1);
  second.gauge(Family::kPoolConnections, {"app", "b", "http1", "idle"})->set(2);
  second.gauge(Family::kPoolConnections, {"app", "b", "http1", "active"})->set(4);
  const Parsed with = parse(render_text({&first, &second}, kText), kText);
  EXPECT_EQ((with.samples.at({"lb_active_connections", {{"listener", "web"}}})), 3);
  EXPECT_EQ(with.samples.size(), 4u);
  const RenderOptions merged{.per_worker = false};
  const Parsed without = parse(render_text({&first, &second}, merged), merged);
  EXPECT_EQ((without.samples.at({"lb_pool_connections",
                                 {{"cluster", "app"}, {"backend", "b"}, {"protocol", "http1"}, {"state", "idle"}}})),
            3);
  EXPECT_EQ(without.samples.size(), 3u);
}

TEST(Exposition, AFamilyOfWorkersAloneHasNoLabelWithoutThem) {
  MetricStore first("0"), second("1");
  first.counter(Family::kWorkerRequests)->add(1);
  second.counter(Family::kWorkerRequests)->add(2);
  EXPECT_THAT(render_text({&first, &second}, {.per_worker = false}),
              testing::HasSubstr("\nlb_worker_requests_total 3\n"));
}

TEST(Exposition, TheOrderDependsOnNothingButTheLabels) {
  MetricStore one, two;
  for (const char* name : {"c", "a", "b"}) one.counter(Family::kAcceptPaused, {name})->add();
  for (const char* name : {"b", "c", "a"}) two.counter(Family::kAcceptPaused, {name})->add();
  EXPECT_EQ(render_text({&one}, kText), render_text({&two}, kText));
  EXPECT_THAT(parse(render_text({&one}, kText), kText).order,
              testing::ElementsAre("lb_accept_paused_total|a", "lb_accept_paused_total|b", "lb_accept_paused_total|c"));
}

RC_GTEST_PROP(Exposition, LabelsAreReadBack, ()) {
  const auto bytes = *rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::element('"', '\\', '\n', 'n', ' ', '\0'), rc::gen::inRange<char>(1, 127)));
  const auto other = *rc::gen::arbitrary<std::string>();
  MetricStore store;
  store.counter(Family::kRetries, {bytes, "x"})->add();
  store.counter(Family::kRetries, {"x", bytes})->add();
  store.counter(Family::kRetries, {"other", other})->add();
  const Parsed parsed = parse(render_text({&store}, kText), kText);
  RC_ASSERT(parsed.samples.contains({"lb_retries_total", {{"cluster", bytes}, {"reason", "x"}}}));
}

TEST(Exposition, RendersWhileAnotherThreadWrites) {
  MetricStore store("0");
  std::atomic<int> renderings{0};
  std::thread renderer([&] {
    while (renderings.load() < 100) {
      EXPECT_NO_THROW(parse(render_text({&store}, kOpenMetrics), kOpenMetrics));
      ++renderings;
    }
  });
  for (int round = 0; renderings.load() < 100; round = (round + 1) % 10'000) {
    const std::string name = "b" + std::to_string(round % 20);
    store.counter(Family::kBackendRequests, {"app", name, "200"})->add();
    store.histogram(Family::kBackendRequestDuration, {"app", name})->observe(1'000'000);
    if (round % 11 == 0) {
      store.remove_if([&](const Series& series) { return series.value_of(Label::kBackend) == name; });
    }
  }
  renderer.join();
}

TEST(ChooseFormat, FollowsAccept) {
  const auto open_metrics = ExpositionFormat::kOpenMetrics100;
  const auto text = ExpositionFormat::kPrometheusText004;
  const std::pair<std::string_view, ExpositionFormat> table[] = {
      {"", text},
      {"*/*", text},
      {"text/plain", text},
      {"text/html,application/xhtml+xml,*/*;q=0.8", text},
      {"application/openmetrics-text", open_metrics},
      {"application/openmetrics-text; version=1.0.0; charset=utf-8", open_metrics},
      {"Application/OpenMetrics-Text;version=\"1.0.0\"", open_metrics},
      {"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
       "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
       open_metrics},
      {"application/openmetrics-text;version=2.0.0", text},
      {"application/openmetrics-text;q=0", text},
      {"application/openmetrics-text;q=0.3, text/plain;q=0.7", text},
      {"application/openmetrics-text;q=0.7, text/plain;q=0.3, */*", open_metrics},
      {"application/openmetrics-text;q=0.5, */*;q=0.8", text},
      {"application/openmetrics-text;q=x, text/plain;q=0.1", text},
      {"application/openmetrics-text;q=1.5", text},
      {",,;q=1;\"", text},
  };
  for (const auto& [accept, expected] : table) EXPECT_EQ(choose_format(accept), expected) << accept;
  EXPECT_EQ(content_type(text), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(content_type(open_metrics), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

TEST(ProcessMetrics, ReadsTheStatLine) {
  const auto metrics = parse_process_stat(
      "42 (a) b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 3 0 1000 8192000 77 18446744073709551615 1 1",
      1000, 100, 4096);
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->cpu_seconds, 4.0);
  EXPECT_EQ(metrics->start_time_seconds, 1010.0);
  EXPECT_EQ(metrics->virtual_memory_bytes, 8192000u);
  EXPECT_EQ(metrics->resident_memory_bytes, 77u * 4096);
  EXPECT_FALSE(parse_process_stat("42 (x) S 1 2", 0, 100, 4096));
  EXPECT_FALSE(parse_process_stat("", 0, 100, 4096));
}

TEST(ProcessMetrics, ReadsThisProcess) {
  const auto metrics = read_process_metrics();
  ASSERT_TRUE(metrics);
  EXPECT_GT(metrics->resident_memory_bytes, 100'000u);
  EXPECT_GT(metrics->virtual_memory_bytes, metrics->resident_memory_bytes);
  EXPECT_GE(metrics->open_fds, 3u);
  EXPECT_GT(metrics->start_time_seconds, 1.5e9);
}

}  // namespace
}  // namespace weir::observe
