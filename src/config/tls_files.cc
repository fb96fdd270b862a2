#include "config/tls_files.h"

#include <fmt/format.h>

#include "config/load.h"
#include "tls/certificate.h"

namespace weir::config {

namespace {

using tls::CertificateProblem;

// Goes on with what is there: nothing if both are in order.
std::optional<CertificateProblem> problem_of(const FileSpec& cert, const FileSpec& key) {
  const auto identity = tls::read_identity({cert.text, key.text});
  if (identity) return std::nullopt;
  return identity.error();
}

// The files of a spec, read anew.
class Refresher {
 public:
  explicit Refresher(const FileReader& files) : files_(files) {}

  void refresh(FileSpec& file) {
    if (file.path.empty()) return;
    auto text = files_(file.path);
    if (!text) return fail(file, text.error());
    if (*text == file.text) return;
    file.text = std::move(*text);
    changed_ = true;
  }
  void refresh_certificates(FileSpec& file) {
    refresh(file);
    if (file.path.empty() || !error_.empty()) return;
    if (const auto all = tls::read_certificates(file.text); !all) fail(file, all.error());
  }
  void refresh_identity(FileSpec& cert, FileSpec& key) {
    refresh(cert);
    refresh(key);
    if (cert.path.empty() || !error_.empty()) return;
    if (const auto problem = problem_of(cert, key)) {
      fail(problem->where == CertificateProblem::Where::key ? key : cert, problem->message);
    }
  }

  bool changed() const { return changed_; }
  const std::string& error() const { return error_; }

 private:
  void fail(const FileSpec& file, std::string_view reason) {
    if (error_.empty()) error_ = fmt::format("{}: {}", file.path, reason);
  }

  const FileReader& files_;
  bool changed_ = false;
  std::string error_;
};

}  // namespace

void check_identity(Reader& reader, NodeId mapping, const FileSpec& cert, const FileSpec& key) {
  // What could not be read was reported.
  if (!reader.files() || cert.text.empty() || key.text.empty()) return;
  const auto problem = problem_of(cert, key);
  if (!problem) return;
  const bool of_key = problem->where == CertificateProblem::Where::key;
  reader.error(reader.find_value(mapping, of_key ? "key" : "cert"),
               fmt::format("'{}': {}", of_key ? key.path : cert.path, problem->message));
}

void check_certificates(Reader& reader, NodeId place, const FileSpec& file) {
  if (place == kNoNode || !reader.files() || file.text.empty()) return;
  const auto all = tls::read_certificates(file.text);
  if (!all) reader.error(place, fmt::format("'{}': {}", file.path, all.error()));
}

std::expected<std::optional<Spec>, std::string> with_files_of_now(const Spec& spec, const FileReader& files) {
  Spec next = spec;
  Refresher refresher(files);
  for (ListenerSpec& listener : next.listeners) {
    if (!listener.tls) continue;
    for (CertificateSpec& certificate : listener.tls->certificates) {
      refresher.refresh_identity(certificate.cert, certificate.key);
    }
    refresher.refresh_certificates(listener.tls->client_ca);
  }
  for (ClusterSpec& cluster : next.clusters) {
    if (!cluster.tls) continue;
    refresher.refresh_certificates(cluster.tls->ca);
    refresher.refresh_identity(cluster.tls->cert, cluster.tls->key);
  }
  if (!refresher.error().empty()) return std::unexpected(refresher.error());
  if (!refresher.changed()) return std::nullopt;
  return next;
}

}  // namespace weir::config
