#pragma once

#include "base/intrusive_list.h"

namespace weir {

class Pool;
struct ClientPoolTag;

// The pools that carry the requests of one client's connection alone, because theirs begin by saying whose they are
// (PROXY protocol). Kept by the client's connection; each pool is owned by that of its backend. One thread.
class ClientPools {
 public:
  ClientPools();
  ClientPools(const ClientPools&) = delete;
  ClientPools& operator=(const ClientPools&) = delete;
  ~ClientPools();

  // The client is gone, and none of its requests runs when this turn ends: what was connected for it closes.
  void finish();

 private:
  friend class Pool;
  IntrusiveList<Pool, ClientPoolTag> pools_;
};

}  // namespace weir
