#include "tls/certificate.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "tls/peer_certificate.h"

namespace weir::tls {
namespace {

// What TLS libraries ask for today: RSA of 2048 bits, curves of 224.
constexpr int kSecurityBits = 112;

BioPtr bio_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

// Keys that need a passphrase are refused: nobody is there to type it.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::unexpected<CertificateProblem> problem(CertificateProblem::Where where, std::string message) {
  ERR_clear_error();
  return std::unexpected(CertificateProblem{where, std::move(message)});
}

std::expected<KeyPtr, std::string> read_key(std::string_view pem) {
  const BioPtr in = bio_of(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
  if (key) return key;
  ERR_clear_error();
  if (pem.find("ENCRYPTED") != std::string_view::npos) return std::unexpected("the key is encrypted");
  return std::unexpected("there is no private key in PEM form in it");
}

// Empty if it is strong enough.
std::string weakness(X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "its key can't be read";
  if (EVP_PKEY_get_security_bits(key) < kSecurityBits) {
    return fmt::format("its key of {} bits is too weak", EVP_PKEY_get_bits(key));
  }
  int bits = 0;
  const bool signed_by_itself = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
  if (!signed_by_itself && X509_get_signature_info(certificate, nullptr, nullptr, &bits, nullptr) == 1 &&
      bits < kSecurityBits) {
    return "its signature is too weak";
  }
  return {};
}

WallTime to_wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime{};
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return result;
}

void add_name(std::vector<std::string>& names, const ASN1_STRING* string) {
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
  const std::string_view text(data, static_cast<std::size_t>(ASN1_STRING_length(string)));
  if (text.empty() || text.find('\0') != std::string_view::npos) return;
  names.push_back(lower_case(text));
}

std::vector<std::string> host_names(X509* certificate) {
  std::vector<std::string> result;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) add_name(result, name->d.dNSName);
  }
  GENERAL_NAMES_free(names);
  if (!result.empty()) return result;
  // Certificates of old have their host here.
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) add_name(result, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  return result;
}

}  // namespace

std::expected<std::vector<CertificatePtr>, std::string> read_certificates(std::string_view pem) {
  const BioPtr in = bio_of(pem);
  std::vector<CertificatePtr> all;
  ERR_clear_error();
  while (CertificatePtr next{PEM_read_bio_X509_AUX(in.get(), nullptr, no_passphrase, nullptr)}) {
    all.push_back(std::move(next));
  }
  // The end of the text is an error too; anything else is a certificate that can't be read.
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return std::unexpected(fmt::format("certificate {} of it can't be read", all.size() + 1));
  if (all.empty()) return std::unexpected("there is no certificate in PEM form in it");
  return all;
}

std::expected<Identity, CertificateProblem> read_identity(const IdentityText& text) {
  using Where = CertificateProblem::Where;
  auto all = read_certificates(text.certificate);
  if (!all) return problem(Where::certificate, std::move(all.error()));
  for (std::size_t i = 0; i < all->size(); ++i) {
    if (std::string weak = weakness((*all)[i].get()); !weak.empty()) {
      return problem(Where::certificate, i == 0 ? weak : fmt::format("certificate {} of it: {}", i + 1, weak));
    }
    if (i > 0 && X509_check_issued((*all)[i].get(), (*all)[i - 1].get()) != X509_V_OK) {
      return problem(
          Where::certificate,
          fmt::format("the chain is broken: certificate {} of it is not the issuer of certificate {}", i + 1, i));
    }
  }
  auto key = read_key(text.key);
  if (!key) return problem(Where::key, std::move(key.error()));
  if (X509_check_private_key(all->front().get(), key->get()) != 1) {
    return problem(Where::key, "the key does not fit the certificate");
  }
  Identity identity{std::move(*key), std::move(all->front()), {}};
  std::move(all->begin() + 1, all->end(), std::back_inserter(identity.chain));
  return identity;
}

CertificateFacts facts_of(X509* certificate) {
  return {.subject = describe(certificate).subject,
          .names = host_names(certificate),
          .not_before = to_wall_time(X509_get0_notBefore(certificate)),
          .not_after = to_wall_time(X509_get0_notAfter(certificate))};
}

std::expected<StorePtr, std::string> make_store(std::string_view pem) {
  auto all = read_certificates(pem);
  if (!all) return std::unexpected(std::move(all.error()));
  StorePtr store(X509_STORE_new());
  for (const CertificatePtr& certificate : *all) X509_STORE_add_cert(store.get(), certificate.get());
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  ERR_clear_error();
  return store;
}

}  // namespace weir::tls
