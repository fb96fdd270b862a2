#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "tls/openssl.h"

namespace weir::tls {

// A certificate with its private key, as two PEM files have them.
struct IdentityText {
  std::string certificate;  // the certificate, then those between it and the root
  std::string key;

  bool operator==(const IdentityText&) const = default;
};

// Why a file can't be used: a sentence without an end.
struct CertificateProblem {
  enum class Where : bool { certificate, key };
  Where where = Where::certificate;
  std::string message;
};

struct Identity {
  KeyPtr key;
  CertificatePtr certificate;
  std::vector<CertificatePtr> chain;  // each has signed the one before it
};

// Reads both and checks that they belong together, that the chain is in order, and that nothing is too weak to be used.
// Whether it has expired is not looked at.
std::expected<Identity, CertificateProblem> read_identity(const IdentityText& text);

// The certificates of a PEM file; at least one.
std::expected<std::vector<CertificatePtr>, std::string> read_certificates(std::string_view pem);

// What a certificate says of itself.
struct CertificateFacts {
  std::string subject;             // as RFC 2253 writes it
  std::vector<std::string> names;  // hosts in lower case, also "*.example.com"
  WallTime not_before;
  WallTime not_after;
};
CertificateFacts facts_of(X509* certificate);

// A store that trusts these certificates, also where they are no roots.
std::expected<StorePtr, std::string> make_store(std::string_view pem);

}  // namespace weir::tls
