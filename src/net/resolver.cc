#include "net/resolver.h"

#include <utility>

#include "base/assert.h"

namespace weir {

ResolveQuery::ResolveQuery(Resolution& resolution) : resolution_(&resolution) {
  WEIR_ASSERT(!resolution.pending());
  resolution.query_ = this;
}

ResolveQuery::~ResolveQuery() {
  if (resolution_ != nullptr) resolution_->query_ = nullptr;
}

void ResolveQuery::finish(Result<ResolvedAddresses> result) {
  Resolution* resolution = std::exchange(resolution_, nullptr);
  if (resolution == nullptr) return;
  resolution->query_ = nullptr;
  resolution->handler_->on_resolved(*resolution, std::move(result));
}

void Resolution::cancel() {
  if (query_ == nullptr) return;
  query_->resolution_ = nullptr;
  query_ = nullptr;
}

}  // namespace weir
