#include "tls/pair_fixture.h"

namespace weir::tls {
namespace {

class ContextTest : public PairTest {
 protected:
  std::string_view failure(const std::unique_ptr<End>& end) { return end->io.secure_layer()->failure(); }
  // The common name of the certificate that the server showed.
  std::string shown() {
    X509* certificate = SSL_get0_peer_certificate(ssl(client_));
    return certificate == nullptr ? "none" : facts_of(certificate).subject;
  }
  IdentityText named(std::string name, std::string names, KeyKind kind = KeyKind::ecdsa) {
    return authority_.issue({.common_name = std::move(name), .alternative_names = std::move(names), .kind = kind});
  }
};

TEST_F(ContextTest, TheNameThatTheClientAsksForChoosesTheCertificate) {
  const auto server = serve({.certificates = {named("first", "DNS:first.example"), named("exact", "DNS:www.b.example"),
                                              named("wild", "DNS:*.b.example"), named("other", "DNS:c.example")}});
  const auto client = ask({.verify = false});
  const std::pair<const char*, const char*> cases[] = {
      {"first.example", "CN=first"},  {"www.b.example", "CN=exact"}, {"WWW.B.example", "CN=exact"},
      {"api.b.example", "CN=wild"},   {"b.example", "CN=first"},     {"x.api.b.example", "CN=first"},
      {"c.example", "CN=other"},      {"d.example", "CN=first"},     {"10.0.0.1", "CN=first"},
      {"www.b.example.", "CN=exact"},
  };
  for (const auto& [host, expected] : cases) {
    connect(server, client, host);
    ASSERT_TRUE(client_->secured) << host;
    EXPECT_EQ(shown(), expected) << host;
  }
}

TEST_F(ContextTest, EachClientGetsTheKindOfKeyThatItKnows) {
  const auto server = serve({.certificates = {named("rsa", "DNS:app.example", KeyKind::rsa),
                                              named("ecdsa", "DNS:app.example", KeyKind::ecdsa),
                                              named("ed25519", "DNS:app.example", KeyKind::ed25519)}});
  const std::pair<const char*, const char*> cases[] = {
      {"rsa_pss_rsae_sha256", "CN=rsa"}, {"ecdsa_secp256r1_sha256", "CN=ecdsa"}, {"ed25519", "CN=ed25519"}};
  for (const std::string_view host : {"app.example", "unknown.example"}) {
    for (const auto& [algorithm, expected] : cases) {
      connect(server, special_client([&](SSL* client) {
                SSL_set1_sigalgs_list(client, algorithm);
                SSL_set_tlsext_host_name(client, std::string(host).c_str());
              }));
      ASSERT_TRUE(client_->secured) << algorithm;
      EXPECT_EQ(shown(), expected) << host;
    }
  }
}

TEST_F(ContextTest, OldVersionsAreRefused) {
  const auto server = serve({});
  connect(server, special_client([](SSL* client) { SSL_set_max_proto_version(client, TLS1_1_VERSION); }));
  EXPECT_TRUE(server_->failed);
  EXPECT_EQ(failure(server_), "unsupported_version");
  EXPECT_EQ(failure(client_), "alert");
  connect(server, special_client([](SSL* client) { SSL_set_max_proto_version(client, TLS1_2_VERSION); }));
  ASSERT_TRUE(server_->secured);
  EXPECT_EQ(server_->io.secure_layer()->version(), "TLSv1.2");
  connect(serve({.min_version = Version::tls1_3}),
          special_client([](SSL* client) { SSL_set_max_proto_version(client, TLS1_2_VERSION); }));
  EXPECT_EQ(failure(server_), "unsupported_version");
}

TEST_F(ContextTest, WeakCiphersAreRefused) {
  const auto server = serve({.certificates = {named("rsa", "DNS:app.example", KeyKind::rsa)}});
  for (const char* cipher : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "NULL", "aNULL",
                             "ECDHE-RSA-AES256-SHA384"}) {
    connect(server, special_client([&](SSL* client) {
              SSL_set_max_proto_version(client, TLS1_2_VERSION);
              ASSERT_EQ(SSL_set_cipher_list(client, (std::string(cipher) + ":@SECLEVEL=0").c_str()), 1) << cipher;
            }));
    EXPECT_TRUE(server_->failed) << cipher;
    EXPECT_EQ(failure(server_), "no_shared_algorithm") << cipher;
  }
}

TEST_F(ContextTest, ARenegotiationIsRefused) {
  const auto server = serve({});
  connect(server, special_client([](SSL* client) { SSL_set_max_proto_version(client, TLS1_2_VERSION); }));
  ASSERT_TRUE(server_->secured);
  EXPECT_EQ(SSL_renegotiate(ssl(client_)), 1);
  EXPECT_LE(SSL_do_handshake(ssl(client_)), 0);
  client_->send("");
  loop_.mark_dirty(*client_);
  run(1s);
  EXPECT_EQ(SSL_num_renegotiations(ssl(server_)), 0);
  EXPECT_EQ(server_->received, "");
}

// Each is answered, and the answers wait where nobody reads them.
TEST_F(ContextTest, ManyRenegotiationsEndTheConnection) {
  connect(serve({}), special_client([](SSL* client) {
            SSL_set_max_proto_version(client, TLS1_2_VERSION);
            SSL_set_options(client, SSL_OP_NO_RENEGOTIATION);
          }));
  ASSERT_TRUE(client_->secured && server_->secured);
  server_->reading = false;
  SSL_clear_options(ssl(server_), SSL_OP_NO_RENEGOTIATION);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(SSL_renegotiate(ssl(server_)), 1);
    ASSERT_EQ(SSL_do_handshake(ssl(server_)), 1);
  }
  loop_.mark_dirty(*server_);
  run(1s);
  EXPECT_EQ(client_->status, IoStatus::failed);
  EXPECT_LT(client_->wire_sent, 5000U);
}

TEST_F(ContextTest, ProtocolsAreChosenByTheServersWish) {
  connect(serve({.protocols = {"h2", "http/1.1"}}), ask({.protocols = {"http/1.1", "h2"}}));
  EXPECT_EQ(server_->io.secure_layer()->protocol(), "h2");
  connect(serve({.protocols = {"http/1.1"}}), ask({.protocols = {"h2"}}));
  EXPECT_EQ(failure(server_), "no_application_protocol");
  connect(serve({.protocols = {"h2", "http/1.1"}}), ask({}));
  ASSERT_TRUE(server_->secured);
  EXPECT_EQ(server_->io.secure_layer()->protocol(), "");
  const auto both = ask({.protocols = {"h2", "http/1.1"}});
  connect(serve({.protocols = {"h2", "http/1.1"}}), both->connect(loop_.buffers(), "app.example", nullptr, "http/1.1"));
  EXPECT_EQ(client_->io.secure_layer()->protocol(), "http/1.1");
}

TEST_F(ContextTest, AServerIsVerified) {
  const auto server = serve({});
  connect(server, ask({}));
  EXPECT_TRUE(client_->secured);
  connect(server, ask({}), "10.0.0.1");
  EXPECT_TRUE(client_->secured) << "the address is in the certificate";
  connect(server, ask({}), "10.0.0.2");
  EXPECT_EQ(failure(client_), "bad_certificate");
  EXPECT_EQ(client_->io.secure_layer()->failure_text(), "IP address mismatch");
  connect(server, ask({}), "other.example");
  EXPECT_EQ(client_->io.secure_layer()->failure_text(), "hostname mismatch");
  connect(server, ask({.server_name = "app.example"}), "10.0.0.2");
  EXPECT_TRUE(client_->secured);
  connect(server, ask({}), "app.example.");
  EXPECT_TRUE(client_->secured) << "a name that ends at the root is the same name";
  const TestAuthority stranger("stranger");
  connect(server, ask({.ca = stranger.certificate()}));
  EXPECT_EQ(failure(client_), "bad_certificate");
  connect(server, ask({.verify = false}), "other.example");
  EXPECT_TRUE(client_->secured);
}

TEST_F(ContextTest, AnExpiredServerIsRefused) {
  const IdentityText old = authority_.issue({.alternative_names = "DNS:app.example", .valid_to_s = -3600});
  connect(serve({.certificates = {old}}), ask({}));
  EXPECT_EQ(failure(client_), "bad_certificate");
  EXPECT_EQ(client_->io.secure_layer()->failure_text(), "certificate has expired");
}

TEST_F(ContextTest, AClientsCertificateIsAskedForVerifiedAndDescribed) {
  const TestAuthority staff("staff");
  const TestAuthority stranger("stranger");
  const auto server = serve({.client_ca = staff.certificate()});
  connect(server, ask({}));
  EXPECT_EQ(failure(server_), "no_certificate");
  connect(server, ask({.identity = stranger.issue({.common_name = "eve"})}));
  EXPECT_EQ(failure(server_), "bad_certificate");
  connect(server, ask({.identity = staff.issue({.valid_to_s = -60})}));
  EXPECT_EQ(failure(server_), "bad_certificate");

  const IdentityText alice =
      staff.issue({.common_name = "Älice, Ltd", .alternative_names = "DNS:a.example,URI:spiffe://a/b,IP:10.0.0.9"});
  connect(server, ask({.identity = alice}));
  ASSERT_TRUE(server_->secured) << server_->io.secure_layer()->failure_text();
  const PeerCertificate* peer = server_->io.secure_layer()->peer_certificate();
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->subject, "CN=\\C3\\84lice\\, Ltd");
  EXPECT_EQ(peer->names, "DNS:a.example, URI:spiffe://a/b, IP:10.0.0.9");
  EXPECT_EQ(peer->fingerprint.size(), 64U);
  EXPECT_EQ(peer->fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  // The PEM without its armour is the base64 of the same.
  std::string body = alice.certificate.substr(alice.certificate.find('\n') + 1);
  body.resize(body.find("-----"));
  std::erase(body, '\n');
  EXPECT_EQ(peer->encoded, ":" + body + ":");
}

TEST_F(ContextTest, AClientMayDoWithoutACertificateIfThatIsOptional) {
  const TestAuthority staff("staff");
  const auto server = serve({.client_ca = staff.certificate(), .client_auth = ClientAuth::optional});
  connect(server, ask({}));
  ASSERT_TRUE(server_->secured);
  EXPECT_EQ(server_->io.secure_layer()->peer_certificate(), nullptr);
  const TestAuthority stranger("stranger");
  connect(server, ask({.identity = stranger.issue({})}));
  EXPECT_EQ(failure(server_), "bad_certificate");
}

class ResumptionTest : public ContextTest {
 protected:
  bool resumes(const std::shared_ptr<const ServerContext>& server, std::string_view host = "app.example") {
    connect(server, client_context_, host, &slot_);
    run(1s);  // for the ticket
    EXPECT_TRUE(client_->secured && server_->secured);
    EXPECT_EQ(client_->io.secure_layer()->resumed(), server_->io.secure_layer()->resumed());
    const bool resumed = server_->io.secure_layer()->resumed();
    client_->io.close();
    run(1s);
    return resumed;
  }
  SessionSlot slot_;
  std::shared_ptr<const ClientContext> client_context_ = ask({});
};

TEST_F(ResumptionTest, ASessionIsResumedByAnotherContextWithTheSameKeys) {
  // As after a reload, or with a renewed certificate.
  EXPECT_FALSE(resumes(serve({})));
  EXPECT_TRUE(resumes(serve({})));
  EXPECT_TRUE(resumes(serve({})));
}

TEST_F(ResumptionTest, SeveralConnectionsAreMadeWithOneTicket) {
  const auto server = serve({});
  EXPECT_FALSE(resumes(server));
  for (int i = 0; i < 3; ++i) {
    const SessionPtr kept(SSL_SESSION_dup(slot_.session.get()));
    EXPECT_TRUE(resumes(server));
    slot_.session.reset(SSL_SESSION_dup(kept.get()));
  }
}

TEST_F(ResumptionTest, ASessionOutlivesTwoRotations) {
  const auto server = serve({});
  EXPECT_FALSE(resumes(server));
  tickets_->rotate();
  const SessionPtr first(SSL_SESSION_dup(slot_.session.get()));
  EXPECT_TRUE(resumes(server));
  tickets_->rotate();
  slot_.session.reset(SSL_SESSION_dup(first.get()));
  EXPECT_TRUE(resumes(server));
  tickets_->rotate();
  slot_.session.reset(SSL_SESSION_dup(first.get()));
  EXPECT_FALSE(resumes(server));
}

TEST_F(ResumptionTest, AnotherListenersSessionIsNotResumed) {
  EXPECT_FALSE(resumes(serve({.scope = "one"})));
  EXPECT_FALSE(resumes(serve({.scope = "two"})));
}

TEST_F(ResumptionTest, ASessionWithoutACertificateIsNotResumedWhereOneIsAskedFor) {
  const TestAuthority staff("staff");
  EXPECT_FALSE(resumes(serve({})));
  client_context_ = ask({.identity = staff.issue({})});
  EXPECT_FALSE(resumes(serve({.client_ca = staff.certificate()})));
}

TEST_F(ResumptionTest, AResumedSessionKnowsTheClientsCertificate) {
  const TestAuthority staff("staff");
  const auto server = serve({.client_ca = staff.certificate()});
  client_context_ = ask({.identity = staff.issue({.common_name = "alice"})});
  EXPECT_FALSE(resumes(server));
  EXPECT_TRUE(resumes(server));
  ASSERT_NE(server_->io.secure_layer()->peer_certificate(), nullptr);
  EXPECT_EQ(server_->io.secure_layer()->peer_certificate()->subject, "CN=alice");
}

TEST_F(ResumptionTest, AClientsCertificateThatHasExpiredIsNotResumed) {
  const TestAuthority staff("staff");
  const auto server = serve({.client_ca = staff.certificate()});
  client_context_ = ask({.identity = staff.issue({})});
  EXPECT_FALSE(resumes(server));
  // What is over for a minute was good when the server's clock, as far as it verifies certificates, stood before that.
  const IdentityText expired = staff.issue({.valid_from_s = -7200, .valid_to_s = -60});
  std::tm end{};
  ASSERT_EQ(ASN1_TIME_to_tm(X509_get0_notAfter(read_identity(expired)->certificate.get()), &end), 1);
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(SSL_get_SSL_CTX(ssl(server_))), timegm(&end) - 600);
  client_context_ = ask({.identity = expired});
  EXPECT_FALSE(resumes(server));
  EXPECT_FALSE(resumes(server)) << "it stands for a certificate that is over";
}

class BugsOfResumption : public ResumptionTest {};

// The same of what servers show: OpenSSL verifies nothing when it resumes.
TEST_F(BugsOfResumption, Case176AServersCertificateThatHasExpiredIsResumed) {
  const IdentityText expired =
      authority_.issue({.alternative_names = "DNS:app.example", .valid_from_s = -7200, .valid_to_s = -60});
  std::tm end{};
  ASSERT_EQ(ASN1_TIME_to_tm(X509_get0_notAfter(read_identity(expired)->certificate.get()), &end), 1);
  connect(serve({}), client_context_);
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(SSL_get_SSL_CTX(ssl(client_))), timegm(&end) - 600);
  const auto server = serve({.certificates = {expired}});
  EXPECT_FALSE(resumes(server));
  ASSERT_TRUE(slot_.session);
  EXPECT_FALSE(resumes(server)) << "it stands for a certificate that is over";
  client_context_ = ask({.verify = false});
  EXPECT_FALSE(resumes(server));
  EXPECT_TRUE(resumes(server)) << "nobody looks at it";
}

TEST_F(ResumptionTest, ASessionIsSaidToLastAsLongAsTheKeysAllow) {
  EXPECT_FALSE(resumes(serve({})));
  EXPECT_EQ(SSL_SESSION_get_ticket_lifetime_hint(slot_.session.get()), 24U * 3600);
}

TEST_F(ResumptionTest, AChangedContextVerifiesAnew) {
  EXPECT_FALSE(resumes(serve({})));
  const TestAuthority stranger("stranger");
  connect(serve({}), ask({.ca = stranger.certificate()}), "app.example", &slot_);
  EXPECT_EQ(failure(client_), "bad_certificate") << "a session must not stand for a certificate that is not trusted";
}

TEST_F(ResumptionTest, Tls12SessionsAreResumedToo) {
  const auto server = serve({});
  SessionPtr session;
  for (const bool expected : {false, true}) {
    connect(server, special_client([&](SSL* client) {
              SSL_set_max_proto_version(client, TLS1_2_VERSION);
              if (session) SSL_set_session(client, session.get());
            }));
    ASSERT_TRUE(server_->secured);
    EXPECT_EQ(server_->io.secure_layer()->resumed(), expected);
    session.reset(SSL_get1_session(ssl(client_)));
    client_->io.close();
  }
}

}  // namespace
}  // namespace weir::tls
