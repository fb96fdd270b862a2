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

  // What is wrong stays as it was; the others do not wait for it.
  void refresh_certificates(FileSpec& file) {
    auto now = read(file);
    if (!now || now->text == file.text) return;
    if (const auto all = tls::read_certificates(now->text); !all) return fail(file, all.error());
    take(file, *now);
  }
  void refresh_identity(FileSpec& cert, FileSpec& key) {
    auto cert_now = read(cert);
    auto key_now = read(key);
    if (!cert_now || !key_now || (cert_now->text == cert.text && key_now->text == key.text)) return;
    if (const auto problem = problem_of(*cert_now, *key_now)) {
      return fail(problem->where == CertificateProblem::Where::key ? key : cert, problem->message);
    }
    take(cert, *cert_now);
    take(key, *key_now);
  }

  bool changed() const { return changed_; }
  const std::string& problem() const { return problem_; }

 private:
  std::optional<FileSpec> read(const FileSpec& file) {
    if (file.path.empty()) return std::nullopt;
    auto text = files_(file.path);
    if (text) return FileSpec{.path = file.path, .text = std::move(*text)};
    fail(file, text.error());
    return std::nullopt;
  }
  void take(FileSpec& file, FileSpec& now) {
    file = std::move(now);
    changed_ = true;
  }
  void fail(const FileSpec& file, std::string_view reason) {
    if (problem_.empty()) problem_ = fmt::format("{}: {}", file.path, reason);
  }

  const FileReader& files_;
  bool changed_ = false;
  std::string problem_;
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

FilesOfNow with_files_of_now(const Spec& spec, const FileReader& files) {
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
  FilesOfNow result{.next = {}, .problem = refresher.problem()};
  if (refresher.changed()) result.next = std::move(next);
  return result;
}

}  // namespace weir::config
