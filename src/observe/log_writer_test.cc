#include "observe/log_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "observe/memory_log.h"

namespace weir::observe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

AccessRecord record_of(std::string_view path) {
  return {
      .listener = "web", .client = "192.0.2.1", .method = "GET", .path = path, .protocol = "HTTP/1.1", .status = 200};
}

std::uint64_t lost_of(const MetricStore& store, Family family) {
  std::uint64_t sum = 0;
  MetricStore::Reading(store).for_each([&](const Series& series) {
    if (series.family() == family) sum += series.counter().value();
  });
  return sum;
}

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "weir-log-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  std::unique_ptr<LogWriter> start(std::uint32_t workers = 1) {
    LogWriterOptions options{.workers = workers, .log_lines_max = 100, .log_path = path("process.log")};
    auto writer = LogWriter::start(options);
    EXPECT_TRUE(writer) << writer.error().message;
    return std::move(*writer);
  }

  std::vector<std::string> lines(const std::string& name) const {
    std::ifstream file(path(name));
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line);) found.push_back(line);
    return found;
  }

  CounterRef lost() { return store_.counter(Family::kAccessLogLost, {"web"}); }

  std::string folder_;
  MetricStore store_{"0"};
};

TEST_F(LogWriterTest, WritesWhatWorkersLog) {
  auto writer = start();
  auto log = writer->open({.path = path("a.log"), .format = AccessLogFormat::kCombined, .listener = "web"});
  ASSERT_TRUE(log);
  auto sink = (*log)->make_sink(0, lost());
  EXPECT_TRUE(sink->write(record_of("/1")));
  EXPECT_TRUE(sink->write(record_of("/2")));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_THAT(lines("a.log"), ElementsAre(HasSubstr("GET /1 HTTP/1.1"), HasSubstr("GET /2 HTTP/1.1")));
  struct stat status{};
  ASSERT_EQ(::stat(path("a.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0137, 0u);
  EXPECT_EQ(lost()->value(), 0u);
}

TEST_F(LogWriterTest, AppendsToWhatIsThere) {
  std::ofstream(path("a.log")) << "old\n";
  auto writer = start();
  auto log = *writer->open({.path = path("a.log"), .listener = "web"});
  log->make_sink(0, lost())->write(record_of("/1"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_THAT(lines("a.log"), ElementsAre("old", HasSubstr("\"path\":\"/1\"")));
}

TEST_F(LogWriterTest, LogsOfThreeWorkersInOneFileAreWholeLines) {
  auto writer = start(3);
  const AccessLogSpec spec{.path = path("a.log"), .format = AccessLogFormat::kCombined, .listener = "web"};
  auto first = *writer->open(spec);
  auto second = *writer->open({.path = spec.path, .format = spec.format, .listener = "other"});
  constexpr int kLines = 3000;
  std::vector<std::thread> workers;
  std::atomic<int> taken{0};
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    workers.emplace_back([&, worker] {
      MetricStore own(std::to_string(worker));
      auto sink = (worker == 1 ? second : first)->make_sink(worker, own.counter(Family::kAccessLogLost, {"web"}));
      const std::string text = "/" + std::string(100, static_cast<char>('a' + worker));
      int mine = 0;
      for (int i = 0; i < kLines; ++i) mine += sink->write(record_of(text));
      EXPECT_EQ(own.counter(Family::kAccessLogLost, {"web"})->value(), static_cast<std::uint64_t>(kLines - mine));
      taken += mine;
    });
  }
  for (auto& worker : workers) worker.join();
  ASSERT_TRUE(writer->flush(10s));
  const auto found = lines("a.log");
  EXPECT_EQ(found.size(), static_cast<std::size_t>(taken.load()));
  for (const auto& line : found) {
    const char letter = line[line.find("GET /") + 5];
    ASSERT_EQ(line, "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"GET /" + std::string(100, letter) +
                        " HTTP/1.1\" 200 - \"-\" \"-\"");
  }
}

TEST_F(LogWriterTest, AFullDiskLosesLinesAndNothingElse) {
  auto writer = start();
  auto log = *writer->open({.path = "/dev/full", .listener = "web"});
  auto sink = log->make_sink(0, lost());
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(sink->write(record_of("/x")));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kAccessLogLost), 7u);
  auto good = *writer->open({.path = path("a.log"), .listener = "other"});
  good->make_sink(0, lost())->write(record_of("/y"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lines("a.log").size(), 1u);
}

TEST_F(LogWriterTest, TheCountOfAListenerThatIsGoneGoesToo) {
  auto writer = start();
  auto log = *writer->open({.path = "/dev/full", .listener = "web"});
  log->make_sink(0, lost())->write(record_of("/x"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kAccessLogLost), 1u);
  log.reset();
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kAccessLogLost), 0u);
}

class PipeTest : public LogWriterTest {
 protected:
  void SetUp() override {
    LogWriterTest::SetUp();
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  }
  void open_reader() {
    reader_ = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(reader_, 0);
  }
  void close_reader() {
    if (reader_ >= 0) ::close(std::exchange(reader_, -1));
  }
  void TearDown() override {
    close_reader();
    LogWriterTest::TearDown();
  }
  std::string read_all() const {
    std::string text;
    char part[65536];
    ssize_t size;
    while ((size = ::read(reader_, part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(size));
    return text;
  }
  int reader_ = -1;
};

TEST_F(PipeTest, APipeThatNobodyReadsCannotBeOpened) {
  auto writer = start();
  const auto log = writer->open({.path = path("pipe"), .listener = "web"});
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().message, HasSubstr("pipe"));
}

TEST_F(PipeTest, AClosedPipeLosesLinesUntilItIsReadAgain) {
  open_reader();
  auto writer = start();
  auto log = *writer->open({.path = path("pipe"), .format = AccessLogFormat::kCombined, .listener = "web"});
  auto sink = log->make_sink(0, lost());
  close_reader();
  sink->write(record_of("/1"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kAccessLogLost), 1u);
  open_reader();
  sink->write(record_of("/2"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_THAT(read_all(), HasSubstr("GET /2"));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kAccessLogLost), 1u);
}

TEST_F(PipeTest, AFullPipeNeverTearsALine) {
  open_reader();
  auto writer = start();
  auto log = *writer->open({.path = path("pipe"), .format = AccessLogFormat::kCombined, .listener = "web"});
  auto sink = log->make_sink(0, lost());
  const std::string text = "/" + std::string(1000, 'x');
  std::uint64_t taken = 0;
  for (int i = 0; i < 4000; ++i) {
    taken += sink->write(record_of(text));
    if (i % 400 == 0) writer->flush(1ms);
  }
  std::string got;
  while (!writer->flush(1ms)) got += read_all();
  got += read_all();
  const std::uint64_t lost_by_writer = lost_of(writer->metrics(), Family::kAccessLogLost);
  EXPECT_GT(lost_by_writer, 0u);
  std::uint64_t count = 0;
  for (std::size_t begin = 0; begin < got.size(); ++count) {
    const std::size_t end = got.find('\n', begin);
    ASSERT_NE(end, std::string::npos);
    ASSERT_EQ(got.substr(begin, end - begin),
              "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"GET " + text + " HTTP/1.1\" 200 - \"-\" \"-\"");
    begin = end + 1;
  }
  EXPECT_EQ(count + lost_by_writer, taken);
  EXPECT_EQ(taken + lost()->value(), 4000u);
}

TEST_F(PipeTest, StoppingDoesNotWaitForAFullPipe) {
  open_reader();
  auto writer = start();
  auto log = *writer->open({.path = path("pipe"), .listener = "web"});
  auto sink = log->make_sink(0, lost());
  const std::string text(2000, 'x');
  for (int i = 0; i < 200; ++i) sink->write(record_of(text));
  sink.reset();
  log.reset();
  writer->stop(50ms);
  EXPECT_GT(lost_of(writer->metrics(), Family::kAccessLogLost), 0u);
}

TEST_F(LogWriterTest, ReopensByPath) {
  auto writer = start();
  auto log = *writer->open({.path = path("a.log"), .listener = "web"});
  auto sink = log->make_sink(0, lost());
  sink->write(record_of("/before"));
  ASSERT_TRUE(writer->flush(10s));
  std::filesystem::rename(path("a.log"), path("a.log.1"));
  writer->reopen(WallTime(0s));
  ASSERT_TRUE(writer->flush(10s));
  sink->write(record_of("/after"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_THAT(lines("a.log.1"), ElementsAre(HasSubstr("/before")));
  EXPECT_THAT(lines("a.log"), ElementsAre(HasSubstr("/after")));
}

TEST_F(LogWriterTest, KeepsTheOldFileWhereReopeningFails) {
  std::filesystem::create_directory(path("sub"));
  auto writer = start();
  auto log = *writer->open({.path = path("sub/a.log"), .listener = "web"});
  auto sink = log->make_sink(0, lost());
  std::filesystem::rename(path("sub"), path("moved"));
  writer->reopen(WallTime(0s));
  sink->write(record_of("/after"));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_THAT(lines("moved/a.log"), ElementsAre(HasSubstr("/after")));
  EXPECT_THAT(lines("process.log"), ElementsAre(HasSubstr("error a log was not reopened")));
}

TEST_F(LogWriterTest, AFileIsClosedAfterItsLastLog) {
  auto writer = start();
  auto log = *writer->open({.path = path("a.log"), .listener = "web"});
  auto sink = log->make_sink(0, lost());
  const auto is_open = [&] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      if (std::filesystem::read_symlink(entry.path(), ignored) == path("a.log")) return true;
    }
    return false;
  };
  log.reset();
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_TRUE(is_open());
  sink->write(record_of("/last"));
  sink.reset();
  ASSERT_TRUE(writer->flush(10s));
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_FALSE(is_open());
  EXPECT_EQ(lines("a.log").size(), 1u);
}

TEST_F(LogWriterTest, ErrorsOfOpeningNameThePath) {
  const auto writer = LogWriter::start({.log_path = folder_ + "/no/such.log"});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ENOENT);
  EXPECT_THAT(writer.error().message, HasSubstr("/no/such.log: No such file or directory"));
}

TEST_F(LogWriterTest, TheProcessLogTakesLinesOfAllThreads) {
  auto writer = start();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 20; ++i) writer->logger().info(WallTime(0s), "line", {{"thread", thread}, {"number", i}});
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(writer->flush(10s));
  int next[3] = {};
  const auto found = lines("process.log");
  EXPECT_EQ(found.size(), 60u);
  for (const auto& line : found) {
    int thread = -1, number = -1;
    constexpr const char* kForm = "1970-01-01T00:00:00.000000Z info line thread=%d number=%d";
    ASSERT_EQ(std::sscanf(line.c_str(), kForm, &thread, &number), 2);
    EXPECT_EQ(next[thread]++, number);
  }
}

TEST_F(LogWriterTest, TheProcessLogCountsWhatItLoses) {
  auto writer = start();
  ASSERT_TRUE(writer->set_process_log("/dev/full", LogLevel::kInfo, LogFormat::kJson));
  for (int i = 0; i < 500; ++i) writer->logger().info(WallTime(0s), "line");
  ASSERT_TRUE(writer->flush(10s));
  EXPECT_EQ(lost_of(writer->metrics(), Family::kLogLost), 500u);
  EXPECT_THAT(lines("process.log"), IsEmpty());
  EXPECT_FALSE(writer->set_process_log(folder_, LogLevel::kInfo, LogFormat::kText));
}

TEST_F(LogWriterTest, StoppingWritesEverything) {
  auto writer = start();
  auto log = *writer->open({.path = path("a.log"), .listener = "web"});
  auto sink = log->make_sink(0, lost());
  for (int i = 0; i < 100; ++i) sink->write(record_of("/x"));
  sink.reset();
  log.reset();
  writer->logger().info(WallTime(0s), "bye");
  writer.reset();
  EXPECT_EQ(lines("a.log").size(), 100u);
  EXPECT_THAT(lines("process.log"), ElementsAre(HasSubstr("info bye")));
}

TEST(MemoryLogs, KeepLinesAndFaults) {
  MemoryLogs logs;
  MetricStore store;
  auto log = logs.open({.path = "a", .format = AccessLogFormat::kCombined, .listener = "web"});
  ASSERT_TRUE(log);
  auto sink = (*log)->make_sink(0, store.counter(Family::kAccessLogLost, {"web"}));
  EXPECT_TRUE(sink->write(record_of("/1")));
  logs.set_full(true);
  EXPECT_FALSE(sink->write(record_of("/2")));
  EXPECT_THAT(logs.lines("a"), ElementsAre(HasSubstr("GET /1 HTTP/1.1")));
  EXPECT_THAT(logs.lines("b"), IsEmpty());
  EXPECT_EQ(lost_of(store, Family::kAccessLogLost), 1u);
  logs.refuse_open("b");
  EXPECT_FALSE(logs.open({.path = "b", .listener = {}}));
}

}  // namespace
}  // namespace weir::observe
