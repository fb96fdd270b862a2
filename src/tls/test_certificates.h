#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "base/assert.h"
#include "tls/certificate.h"

// Certificates that tests make for themselves.
namespace weir::tls {

enum class KeyKind : std::uint8_t { ecdsa, rsa, ed25519, weak_rsa };

inline KeyPtr make_test_key(KeyKind kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case KeyKind::ecdsa:
      key = EVP_EC_gen("P-256");
      break;
    case KeyKind::rsa:
      key = EVP_RSA_gen(2048);
      break;
    case KeyKind::weak_rsa:
      key = EVP_RSA_gen(1024);
      break;
    case KeyKind::ed25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  WEIR_CHECK(key != nullptr);
  return KeyPtr(key);
}

struct TestCertificateOptions {
  std::string common_name = "test";
  std::string alternative_names = {};  // as OpenSSL's configuration writes them: "DNS:a.example,IP:127.0.0.1"
  KeyKind kind = KeyKind::ecdsa;
  long valid_from_s = -86400;  // from now
  long valid_to_s = 86400L * 36500;
  bool authority = false;
  long serial = 0;  // 0: the next one of this process
};

// Issues certificates, and is a root or, with a parent, an intermediate.
class TestAuthority {
 public:
  explicit TestAuthority(std::string name, const TestAuthority* parent = nullptr, long serial = 0)
      : key_(make_test_key(KeyKind::ecdsa)), parent_(parent) {
    certificate_ = sign({.common_name = std::move(name), .authority = true, .serial = serial}, key_.get(),
                        parent == nullptr ? key_.get() : parent->key_.get(),
                        parent == nullptr ? nullptr : parent->certificate_.get());
  }

  std::string certificate() const { return to_pem(certificate_.get()); }

  // With the chain up to the root, which is not in it.
  IdentityText issue(const TestCertificateOptions& options) const {
    const KeyPtr key = make_test_key(options.kind);
    const CertificatePtr made = sign(options, key.get(), key_.get(), certificate_.get());
    IdentityText text{to_pem(made.get()), to_pem(key.get())};
    for (const TestAuthority* next = this; next->parent_ != nullptr; next = next->parent_) {
      text.certificate += next->certificate();
    }
    return text;
  }

 private:
  static std::string take(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
  }
  static std::string to_pem(X509* certificate) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate);
    return take(out.get());
  }
  static std::string to_pem(EVP_PKEY* key) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return take(out.get());
  }

  static void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    WEIR_CHECK(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static CertificatePtr sign(const TestCertificateOptions& options, EVP_PKEY* key, EVP_PKEY* signer, X509* issuer) {
    CertificatePtr made(X509_new());
    X509* raw = made.get();
    X509_set_version(raw, X509_VERSION_3);
    static long last_serial = 1000;
    ASN1_INTEGER_set(X509_get_serialNumber(raw), options.serial != 0 ? options.serial : ++last_serial);
    X509_gmtime_adj(X509_getm_notBefore(raw), options.valid_from_s);
    X509_gmtime_adj(X509_getm_notAfter(raw), options.valid_to_s);
    X509_set_pubkey(raw, key);
    X509_NAME* name = X509_get_subject_name(raw);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(raw, issuer == nullptr ? name : X509_get_subject_name(issuer));
    X509* parent = issuer == nullptr ? raw : issuer;
    extend(raw, parent, NID_basic_constraints, options.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(raw, parent, NID_subject_key_identifier, "hash");
    extend(raw, parent, NID_authority_key_identifier, "keyid");
    if (!options.alternative_names.empty()) extend(raw, parent, NID_subject_alt_name, options.alternative_names);
    WEIR_CHECK(X509_sign(raw, signer, EVP_sha256()) > 0);
    return made;
  }

  KeyPtr key_;
  const TestAuthority* parent_;
  CertificatePtr certificate_;
};

}  // namespace weir::tls
