#include "tls/ticket_keys.h"

#include <openssl/rand.h>

#include <algorithm>

#include "base/assert.h"

namespace weir::tls {
namespace {

TicketKeys::Key draw_key() {
  TicketKeys::Key key;
  const bool drawn = RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
                     RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) == 1 &&
                     RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) == 1;
  WEIR_CHECK(drawn);
  return key;
}

}  // namespace

TicketKeys::TicketKeys() {
  auto first = std::make_unique<Set>();
  first->keys[0] = draw_key();
  first->count = 1;
  current_.store(first.get(), std::memory_order_release);
  sets_.push_back(std::move(first));
}

void TicketKeys::rotate() {
  const Set& now = current();
  auto next = std::make_unique<Set>();
  next->keys[0] = draw_key();
  next->count = std::min(now.count + 1, next->keys.size());
  std::copy_n(now.keys.begin(), next->count - 1, next->keys.begin() + 1);
  current_.store(next.get(), std::memory_order_release);
  sets_.push_back(std::move(next));
}

}  // namespace weir::tls
