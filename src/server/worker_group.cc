#include "server/worker_group.h"

namespace weir::server {

void MailedEvents::connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) {
  control_.post([this, cluster, backend, refused] { reports_.on_connect_failed(cluster, backend, refused); });
}

void MailedEvents::tls_failed(const std::string&, const std::shared_ptr<Backend>& backend, const std::string& reason) {
  control_.post([this, backend, reason] { reports_.on_tls_failed(backend, reason); });
}

void MailedEvents::http2_broken(const std::string&, const std::shared_ptr<Backend>& backend,
                                const std::string& reason) {
  control_.post([this, backend, reason] { reports_.on_http2_broken(backend, reason); });
}

void MailedEvents::reclaim_idle(const std::string& cluster, const std::shared_ptr<Backend>& backend) {
  control_.post([this, cluster, backend] { reports_.on_reclaim_wanted(worker_, cluster, backend); });
}

void MailedEvents::protocol_wanted(const std::string&, const std::shared_ptr<Backend>& backend) {
  control_.post([this, backend] { reports_.on_protocol_wanted(backend); });
}

}  // namespace weir::server
