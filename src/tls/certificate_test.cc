#include "tls/certificate.h"

#include <gtest/gtest.h>

#include "tls/test_certificates.h"

namespace weir::tls {
namespace {

using Where = CertificateProblem::Where;

CertificateProblem problem_of(const IdentityText& text) {
  auto identity = read_identity(text);
  EXPECT_FALSE(identity.has_value());
  return identity ? CertificateProblem{} : identity.error();
}

TEST(Certificate, AChainIsReadInItsOrder) {
  const TestAuthority root("root");
  const TestAuthority middle("middle", &root);
  const IdentityText text = middle.issue({.common_name = "leaf"});
  const auto identity = read_identity(text);
  ASSERT_TRUE(identity.has_value()) << identity.error().message;
  EXPECT_EQ(identity->chain.size(), 1U);
  EXPECT_EQ(facts_of(identity->certificate.get()).subject, "CN=leaf");
}

TEST(Certificate, WhatIsWrongIsSaid) {
  const TestAuthority root("root");
  const IdentityText one = root.issue({});
  const IdentityText other = root.issue({});
  const auto expect = [](const IdentityText& text, Where where, std::string_view message) {
    const CertificateProblem found = problem_of(text);
    EXPECT_EQ(found.where, where) << found.message;
    EXPECT_EQ(found.message, message);
  };
  expect({one.certificate, other.key}, Where::key, "the key does not fit the certificate");
  expect({one.certificate, "nonsense"}, Where::key, "there is no private key in PEM form in it");
  expect({one.certificate, ""}, Where::key, "there is no private key in PEM form in it");
  expect({"", one.key}, Where::certificate, "there is no certificate in PEM form in it");
  expect({one.key, one.key}, Where::certificate, "there is no certificate in PEM form in it");
  std::string broken = one.certificate;
  broken.replace(broken.find('\n') + 1, 20, "????????????????????");
  expect({broken, one.key}, Where::certificate, "certificate 1 of it can't be read");
  expect({one.certificate + broken, one.key}, Where::certificate, "certificate 2 of it can't be read");
  expect({one.certificate + other.certificate, one.key}, Where::certificate,
         "the chain is broken: certificate 2 of it is not the issuer of certificate 1");
  const IdentityText weak = root.issue({.kind = KeyKind::weak_rsa});
  expect(weak, Where::certificate, "its key of 1024 bits is too weak");
}

TEST(Certificate, AnEncryptedKeyIsRefused) {
  const TestAuthority root("root");
  const IdentityText text = root.issue({});
  const KeyPtr key = make_test_key(KeyKind::ecdsa);
  const BioPtr out(BIO_new(BIO_s_mem()));
  char passphrase[] = "secret";
  PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), EVP_aes_256_cbc(), passphrase, 6, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  EXPECT_EQ(problem_of({text.certificate, std::string(data, static_cast<std::size_t>(size))}).message,
            "the key is encrypted");
}

TEST(Certificate, FactsAreItsNamesAndTimes) {
  const TestAuthority root("root");
  const auto with_names = read_certificates(
      root.issue({.common_name = "unused", .alternative_names = "DNS:A.example,DNS:*.b.example,IP:10.0.0.1"})
          .certificate);
  ASSERT_TRUE(with_names.has_value());
  const CertificateFacts facts = facts_of(with_names->front().get());
  EXPECT_EQ(facts.names, (std::vector<std::string>{"a.example", "*.b.example"}));
  EXPECT_LT(facts.not_before, facts.not_after);
  const auto old = read_certificates(root.issue({.common_name = "Old.example"}).certificate);
  EXPECT_EQ(facts_of(old->front().get()).names, std::vector<std::string>{"old.example"});
}

TEST(Certificate, AStoreNeedsCertificates) {
  EXPECT_FALSE(make_store("").has_value());
  const TestAuthority root("root");
  EXPECT_TRUE(make_store(root.certificate()).has_value());
}

}  // namespace
}  // namespace weir::tls
