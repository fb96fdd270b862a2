#include "tls/peer_certificate.h"

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "net/address.h"

namespace weir::tls {
namespace {

std::string to_base64(const std::vector<unsigned char>& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::vector<unsigned char> to_der(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  std::vector<unsigned char> der(size > 0 ? static_cast<std::size_t>(size) : 0);
  unsigned char* end = der.data();
  if (size > 0) i2d_X509(certificate, &end);
  return der;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// RFC 2253 with everything but ASCII escaped.
std::string subject_of(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  std::string text = text_of(out.get());
  std::erase_if(text, [](char c) { return c < 0x20 || c == 0x7f; });
  return text;
}

std::optional<std::string> plain_text(const ASN1_IA5STRING* string) {
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
  const std::string_view text(data, static_cast<std::size_t>(ASN1_STRING_length(string)));
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
  if (!plain || text.empty()) return std::nullopt;
  return std::string(text);
}

std::optional<std::string> address_text(const ASN1_OCTET_STRING* string) {
  const int size = ASN1_STRING_length(string);
  IpAddress address;
  if (size != 4 && size != 16) return std::nullopt;
  address.family = size == 4 ? IpAddress::Family::ipv4 : IpAddress::Family::ipv6;
  std::copy_n(ASN1_STRING_get0_data(string), size, address.bytes.begin());
  return address.to_string();
}

std::optional<std::string> name_text(const GENERAL_NAME* name) {
  const auto labelled = [](const char* label, const std::optional<std::string>& text) {
    return text ? std::optional(fmt::format("{}:{}", label, *text)) : std::nullopt;
  };
  switch (name->type) {
    case GEN_DNS:
      return labelled("DNS", plain_text(name->d.dNSName));
    case GEN_EMAIL:
      return labelled("email", plain_text(name->d.rfc822Name));
    case GEN_URI:
      return labelled("URI", plain_text(name->d.uniformResourceIdentifier));
    case GEN_IPADD:
      return labelled("IP", address_text(name->d.iPAddress));
    default:
      return std::nullopt;
  }
}

std::string names_of(X509* certificate) {
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::string list;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const auto text = name_text(sk_GENERAL_NAME_value(names, i));
    if (!text) continue;
    if (!list.empty()) list += ", ";
    list += *text;
  }
  GENERAL_NAMES_free(names);
  return list;
}

std::string fingerprint_of(const std::vector<unsigned char>& der) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  EVP_Digest(der.data(), der.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace

PeerCertificate describe(X509* certificate) {
  const std::vector<unsigned char> der = to_der(certificate);
  return {.encoded = fmt::format(":{}:", to_base64(der)),
          .subject = subject_of(certificate),
          .names = names_of(certificate),
          .fingerprint = fingerprint_of(der)};
}

}  // namespace weir::tls
