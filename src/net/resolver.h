#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/address.h"

namespace weir {

enum class AddressFamily : std::uint8_t { any, ipv4, ipv6 };

struct ResolvedAddresses {
  std::vector<IpAddress> addresses;  // sorted, each once, at least one
  Duration ttl{0};                   // the shortest of the records; 0 if unknown, as from the hosts file
};

class Resolution;

class ResolveHandler {
 public:
  // From the resolver's loop, never from within resolve(). The resolution may be used again or destroyed from here.
  // Error::code is ENOENT if the name is known not to exist or to have no address of the family, ETIMEDOUT if no server
  // answered, else EAGAIN.
  virtual void on_resolved(Resolution& resolution, Result<ResolvedAddresses> result) = 0;

 protected:
  ~ResolveHandler() = default;
};

// What a resolver keeps of a query under way. Outlives its Resolution if that was cancelled.
class ResolveQuery {
 public:
  explicit ResolveQuery(Resolution& resolution);
  ResolveQuery(const ResolveQuery&) = delete;
  ResolveQuery& operator=(const ResolveQuery&) = delete;

  bool cancelled() const { return resolution_ == nullptr; }
  // Tells the handler, unless it was cancelled.
  void finish(Result<ResolvedAddresses> result);

 protected:
  ~ResolveQuery();

 private:
  friend class Resolution;
  Resolution* resolution_;
};

// One question and its answer, owned by who asks. Destroying it cancels: the handler is not called any more.
class Resolution {
 public:
  explicit Resolution(ResolveHandler& handler) : handler_(&handler) {}
  Resolution(const Resolution&) = delete;
  Resolution& operator=(const Resolution&) = delete;
  ~Resolution() { cancel(); }

  bool pending() const { return query_ != nullptr; }
  void cancel();

 private:
  friend class ResolveQuery;
  ResolveHandler* handler_;
  ResolveQuery* query_ = nullptr;
};

// Names to addresses, for one loop. If it dies first, what is pending is cancelled.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // `resolution` must not be pending. `name` is copied.
  virtual void resolve(Resolution& resolution, std::string_view name, AddressFamily family) = 0;
};

}  // namespace weir
