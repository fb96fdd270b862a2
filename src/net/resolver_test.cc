#include "net/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "net/cares_resolver.h"
#include "net/epoll_engine.h"
#include "net/sim_engine.h"
#include "net/sim_resolver.h"
#include "net/sim_world.h"

namespace weir {
namespace {

struct Asker final : ResolveHandler {
  void on_resolved(Resolution&, Result<ResolvedAddresses> answer) override {
    ++answers;
    result = std::move(answer);
  }
  std::string text() const {
    if (!result) return "none";
    if (!*result) return result->error().message;
    std::string all;
    for (const IpAddress& address : (*result)->addresses) all += address.to_string() + " ";
    return all;
  }
  int answers = 0;
  std::optional<Result<ResolvedAddresses>> result;
  Resolution resolution{*this};
};

// Answers questions for "good.test" (A and AAAA); "slow.test" never; others do not exist.
class TinyDnsServer final : public ReadinessHandler {
 public:
  explicit TinyDnsServer(Engine& engine) : engine_(engine) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    EXPECT_TRUE(engine_.watch(socket_, *this, Trigger::level));
  }
  ~TinyDnsServer() { ::close(engine_.release(socket_)); }

  void on_ready(Readiness) override {
    unsigned char packet[1500];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket_, packet, 512, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 17) return;
    ++questions;
    std::size_t end = 12;  // of the name
    while (packet[end] != 0) end += packet[end] + 1u;
    const std::string_view name(reinterpret_cast<char*>(packet) + 12, end - 12);
    const unsigned type = packet[end + 2];
    std::size_t length = end + 5;
    if (name.find("slow") != name.npos) return;
    const bool good = name.find("good") != name.npos;
    packet[2] = 0x81;
    packet[3] = good ? 0x80 : 0x83;
    std::memset(packet + 6, 0, 6);
    if (good) {
      const unsigned size_of = type == 1 ? 4 : 16;
      packet[7] = 2;
      for (unsigned i = 2; i-- > 0;) {
        const unsigned char head[] = {0xc0, 12, 0, static_cast<unsigned char>(type),   0, 1, 0, 0,
                                      0,    30, 0, static_cast<unsigned char>(size_of)};
        std::memcpy(packet + length, head, sizeof head);
        std::memset(packet + length + sizeof head, 10, size_of);
        packet[length + sizeof head + size_of - 1] = static_cast<unsigned char>(i + 1);
        length += sizeof head + size_of;
      }
    }
    ::sendto(socket_, packet, length, 0, reinterpret_cast<sockaddr*>(&from), size);
  }

  std::uint16_t port = 0;
  int questions = 0;

 private:
  Engine& engine_;
  SocketId socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
};

class CaresTest : public testing::Test {
 protected:
  void SetUp() override {
    CaresResolver::Options options;
    options.servers = "127.0.0.1:" + std::to_string(server_.port);
    options.try_timeout = 20ms;
    options.tries = 2;
    auto resolver = CaresResolver::open(loop_, options);
    ASSERT_TRUE(resolver) << resolver.error().message;
    resolver_ = std::move(*resolver);
  }
  void TearDown() override { ::unlink(file_.c_str()); }
  // What is in the resolv.conf of follow_file().
  void write_file(const std::string& text) const { std::ofstream(file_) << text; }
  // From now on the name servers are those of the file.
  void follow_file(Duration try_timeout) {
    CaresResolver::Options options;
    options.resolv_conf = file_;
    options.port = server_.port;
    options.try_timeout = try_timeout;
    options.tries = 1;
    auto resolver = CaresResolver::open(loop_, options);
    ASSERT_TRUE(resolver) << resolver.error().message;
    resolver_ = std::move(*resolver);
  }
  void wait_for(const Asker& asker) {
    const TimePoint deadline = loop_.now() + 5s;
    while (asker.answers == 0 && loop_.now() < deadline) loop_.run_turn(true);
    ASSERT_EQ(asker.answers, 1);
  }

  DescriptorBudget budget_{1000, 0};
  std::unique_ptr<EpollEngine> engine_ = *EpollEngine::open(budget_);
  EventLoop loop_{*engine_, 1};
  TinyDnsServer server_{*engine_};
  std::unique_ptr<CaresResolver> resolver_;
  const std::string file_ = testing::TempDir() + "weir_resolv_conf_" + std::to_string(::getpid());
};

TEST_F(CaresTest, AsksTheServer) {
  Asker v4;
  resolver_->resolve(v4.resolution, "good.test", AddressFamily::ipv4);
  EXPECT_EQ(v4.answers, 0);
  EXPECT_TRUE(v4.resolution.pending());
  wait_for(v4);
  EXPECT_EQ(v4.text(), "10.10.10.1 10.10.10.2 ");
  EXPECT_EQ((*v4.result)->ttl, 30s);
  EXPECT_FALSE(v4.resolution.pending());
  Asker both;
  resolver_->resolve(both.resolution, "good.test", AddressFamily::any);
  wait_for(both);
  ASSERT_TRUE(*both.result);
  EXPECT_EQ((*both.result)->addresses.size(), 4u);
}

TEST_F(CaresTest, TellsWhatDoesNotExist) {
  Asker asker;
  resolver_->resolve(asker.resolution, "bad.test", AddressFamily::any);
  wait_for(asker);
  EXPECT_EQ(asker.text(), "cannot resolve \"bad.test\": Domain name not found");
  EXPECT_EQ(asker.result->error().code, ENOENT);
}

TEST_F(CaresTest, GivesUpOnASilentServer) {
  Asker asker;
  resolver_->resolve(asker.resolution, "slow.test", AddressFamily::ipv4);
  wait_for(asker);
  EXPECT_EQ(asker.result->error().code, ETIMEDOUT);
  EXPECT_GE(server_.questions, 2);
}

TEST_F(CaresTest, LooksIntoTheHostsFileFirst) {
  Asker asker;
  resolver_->resolve(asker.resolution, "localhost", AddressFamily::ipv4);
  EXPECT_EQ(asker.answers, 0);  // never from within resolve()
  wait_for(asker);
  EXPECT_EQ(asker.text(), "127.0.0.1 ");
  EXPECT_EQ(server_.questions, 0);
}

TEST_F(CaresTest, CancelledQuestionsStaySilent) {
  Asker asker;
  Asker other;
  {
    Asker gone;
    resolver_->resolve(gone.resolution, "good.test", AddressFamily::ipv4);
    resolver_->resolve(asker.resolution, "localhost", AddressFamily::ipv4);
    asker.resolution.cancel();
    EXPECT_FALSE(asker.resolution.pending());
  }
  resolver_->resolve(other.resolution, "good.test", AddressFamily::ipv4);
  wait_for(other);
  EXPECT_EQ(asker.answers, 0);
}

TEST_F(CaresTest, MayDieWithQuestionsUnderWay) {
  Asker asker;
  resolver_->resolve(asker.resolution, "slow.test", AddressFamily::ipv4);
  loop_.run_turn(false);
  resolver_.reset();
  EXPECT_FALSE(asker.resolution.pending());
  EXPECT_EQ(asker.answers, 0);
}

// Weir may have been started before the network was there.
TEST_F(CaresTest, Case095ResolvConfIsReadOnlyOnce) {
  write_file("nameserver 127.0.0.2\n");
  follow_file(20ms);
  Asker early;
  resolver_->resolve(early.resolution, "good.test", AddressFamily::ipv4);
  wait_for(early);
  EXPECT_FALSE(early.result->has_value());
  write_file("# the network has come\nnameserver 127.0.0.1\n");
  Asker late;
  resolver_->resolve(late.resolution, "good.test", AddressFamily::ipv4);
  wait_for(late);
  EXPECT_EQ(late.text(), "10.10.10.1 10.10.10.2 ");
}

// A question was always open, since the server of before never answered.
TEST_F(CaresTest, Case141ResolvConfIsReadAgainWhileTheServerOfBeforeIsSilent) {
  const SocketId silent = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_.port);
  ASSERT_EQ(::inet_pton(AF_INET, "127.0.0.2", &address.sin_addr), 1);
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  write_file("nameserver 127.0.0.2\n");
  follow_file(60s);
  Asker early;
  resolver_->resolve(early.resolution, "good.test", AddressFamily::any);
  {
    Asker gone;
    resolver_->resolve(gone.resolution, "good.test", AddressFamily::any);
  }
  loop_.run_turn(false);
  write_file("# another network\nnameserver 127.0.0.1\n");
  Asker late;
  resolver_->resolve(late.resolution, "good.test", AddressFamily::ipv4);
  wait_for(late);
  wait_for(early);
  EXPECT_EQ(late.text(), "10.10.10.1 10.10.10.2 ");
  EXPECT_TRUE(early.result->has_value());
  ::close(silent);
}

TEST(SimResolver, AnswersAsScripted) {
  SimWorld world(SimWorld::Options{});
  DescriptorBudget budget(100, 0);
  SimEngine engine(world, budget, "control", *IpAddress::parse("10.0.0.1"));
  EventLoop loop(engine, 1);
  world.add_loop(loop);
  SimResolver resolver(loop);
  resolver.set_delay(2s);
  resolver.answer("a.test", ResolvedAddresses{{*IpAddress::parse("10.0.0.5"), *IpAddress::parse("::5")}, 30s});
  resolver.answer("b.test", Error{"no answer", ETIMEDOUT});
  Asker a;
  Asker a6;
  Asker b;
  Asker unknown;
  {
    Asker gone;
    resolver.resolve(gone.resolution, "a.test", AddressFamily::any);
  }
  resolver.resolve(a.resolution, "a.test", AddressFamily::any);
  resolver.resolve(a6.resolution, "a.test", AddressFamily::ipv6);
  resolver.resolve(b.resolution, "b.test", AddressFamily::any);
  resolver.resolve(unknown.resolution, "c.test", AddressFamily::any);
  ASSERT_TRUE(world.run_until(SimWorld::kStart + 1900ms));
  EXPECT_EQ(a.answers, 0);
  ASSERT_TRUE(world.run_until(SimWorld::kStart + 2100ms));
  EXPECT_EQ(a.text(), "10.0.0.5 ::5 ");
  EXPECT_EQ(a6.text(), "::5 ");
  EXPECT_EQ(b.result->error().code, ETIMEDOUT);
  EXPECT_EQ(unknown.result->error().code, ENOENT);
  EXPECT_EQ(resolver.questions(), 5u);
  world.remove_loop(loop);
}

}  // namespace
}  // namespace weir
