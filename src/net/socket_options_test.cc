#include "net/socket_options.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "net/epoll_engine.h"

namespace weir {
namespace {

class TcpSocket {
 public:
  TcpSocket() : id_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~TcpSocket() { ::close(id_); }
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;

  int id() const { return id_; }
  bool choose(std::string_view algorithm) const {
    return ::setsockopt(id_, IPPROTO_TCP, TCP_CONGESTION, algorithm.data(), static_cast<socklen_t>(algorithm.size())) ==
           0;
  }
  std::string chosen() const {
    std::array<char, 17> name{};
    socklen_t size = 16;
    EXPECT_EQ(::getsockopt(id_, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
    return name.data();
  }

 private:
  const int id_;
};

TEST(UnpaceLoopback, TakesBbrOffLoopbackOnly) {
  const TcpSocket near;
  const TcpSocket far;
  if (!near.choose("bbr") || !far.choose("bbr")) GTEST_SKIP() << "this machine has no BBR";
  unpace_loopback(near.id(), *IpAddress::parse("127.0.0.1"));
  unpace_loopback(far.id(), *IpAddress::parse("192.0.2.1"));
  EXPECT_NE(near.chosen(), "bbr");
  EXPECT_EQ(far.chosen(), "bbr");
}

TEST(UnpaceLoopback, LeavesEverythingElse) {
  const TcpSocket socket;
  ASSERT_TRUE(socket.choose("reno"));
  unpace_loopback(socket.id(), *IpAddress::parse("127.0.0.1"));
  EXPECT_EQ(socket.chosen(), "reno");
}

// What a service manager made has none of them.
TEST(Bugs, Case094InheritedListenersLackTheOptionsOfStreams) {
  const TcpSocket listener;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener.id(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.id(), 1), 0);
  DescriptorBudget budget(100, 0);
  const auto engine = EpollEngine::open(budget);
  ASSERT_TRUE(engine.has_value());
  ASSERT_TRUE((*engine)->inherit(listener.id()).has_value());
  const auto option = [&](int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(listener.id(), level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
}

}  // namespace
}  // namespace weir
