#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include "config/compile.h"
#include "config/load.h"
#include "tls/test_certificates.h"

namespace weir::config {
namespace {

class TlsFiles : public testing::Test {
 protected:
  TlsFiles() {
    write("/etc/a", authority_.issue({.common_name = "a", .alternative_names = "DNS:a.example"}));
    write("/etc/b", authority_.issue({.common_name = "b", .alternative_names = "DNS:b.example"}));
    files_["/etc/clients.pem"] = authority_.certificate();
  }
  void write(const std::string& name, const tls::IdentityText& text) {
    files_[name + ".crt"] = text.certificate;
    files_[name + ".key"] = text.key;
  }
  FileReader reader() {
    return [this](const std::string& path) -> std::expected<std::string, std::string> {
      const auto found = files_.find(path);
      if (found == files_.end()) return std::unexpected("No such file or directory");
      return found->second;
    };
  }
  Parsed read(std::string_view tls, std::string_view protocol = "auto") {
    const std::string text = fmt::format(
        "listeners:\n  - {{name: web, address: 1.2.3.4:443, protocol: {}, tls: {}}}\nclusters: []\n"
        "routes: [{{respond: {{status: 200}}}}]\n",
        protocol, tls);
    return parse(text, "/etc/c.yaml", [](std::string_view) { return std::nullopt; }, reader());
  }
  std::vector<std::string> errors(std::string_view tls) {
    std::vector<std::string> result;
    for (const Diagnostic& diagnostic : read(tls).diagnostics) result.push_back(diagnostic.headline());
    return result;
  }
  std::shared_ptr<const Compiled> compiled(Spec spec, const Compiled* previous = nullptr) {
    auto result = compile(std::make_shared<const Spec>(std::move(spec)), previous);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return *result;
  }

  tls::TestAuthority authority_{"root"};
  std::map<std::string, std::string> files_;
};

TEST_F(TlsFiles, PathsAreRelativeToTheConfigurationFile) {
  const Parsed parsed = read("{certificates: [{cert: a.crt, key: /etc/a.key}], client_ca: clients.pem}");
  ASSERT_TRUE(parsed.spec.has_value()) << render(parsed.diagnostics);
  const auto settings = compiled(*parsed.spec)->listeners.front();
  ASSERT_NE(settings->tls, nullptr);
  EXPECT_EQ(settings->tls->certificates().front().subject, "CN=a");
}

TEST_F(TlsFiles, WhatIsWrongIsReportedAtItsPlace) {
  EXPECT_THAT(errors("{certificates: [{cert: a.crt, key: b.key}]}"),
              testing::ElementsAre("/etc/c.yaml:2:95: error: '/etc/b.key': the key does not fit the certificate"));
  EXPECT_THAT(errors("{certificates: [{cert: a.crt, key: none.key}]}"),
              testing::ElementsAre("/etc/c.yaml:2:95: error: can't read '/etc/none.key': No such file or directory"));
  EXPECT_THAT(errors("{certificates: [{cert: a.key, key: a.key}]}"),
              testing::ElementsAre("/etc/c.yaml:2:83: error: '/etc/a.key': there is no certificate in PEM form in it"));
  files_["/etc/chain.crt"] = files_["/etc/a.crt"] + files_["/etc/b.crt"];
  EXPECT_THAT(
      errors("{certificates: [{cert: chain.crt, key: a.key}]}"),
      testing::ElementsAre("/etc/c.yaml:2:83: error: '/etc/chain.crt': the chain is broken: certificate 2 of it "
                           "is not the issuer of certificate 1"));
  EXPECT_THAT(
      errors("{certificates: [{cert: a.crt, key: a.key}], client_ca: a.key}"),
      testing::ElementsAre("/etc/c.yaml:2:115: error: '/etc/a.key': there is no certificate in PEM form in it"));
}

TEST_F(TlsFiles, AReloadKeepsTheContextUnlessAFileHasChanged) {
  const std::string tls = "{certificates: [{cert: a.crt, key: a.key}]}";
  const auto first = compiled(*read(tls).spec);
  const auto second = compiled(*read(tls).spec, first.get());
  EXPECT_EQ(first->listeners.front(), second->listeners.front());
  EXPECT_EQ(first->ticket_keys, second->ticket_keys);
  write("/etc/a", authority_.issue({.common_name = "renewed"}));
  const auto third = compiled(*read(tls).spec, second.get());
  EXPECT_NE(second->listeners.front()->tls, third->listeners.front()->tls);
  EXPECT_EQ(first->ticket_keys, third->ticket_keys);
  EXPECT_EQ(third->listeners.front()->tls->certificates().front().subject, "CN=renewed");
}

TEST_F(TlsFiles, ChangedFilesAreFound) {
  const Spec spec = *read("{certificates: [{cert: a.crt, key: a.key}], client_ca: clients.pem}").spec;
  auto now = with_files_of_now(spec, reader());
  EXPECT_EQ(now.problem, "");
  EXPECT_FALSE(now.next.has_value()) << "nothing has changed";
  const std::string before = files_["/etc/a.key"];
  write("/etc/a", authority_.issue({.common_name = "renewed"}));
  const std::string after = std::exchange(files_["/etc/a.key"], before);
  now = with_files_of_now(spec, reader());
  EXPECT_FALSE(now.next.has_value()) << "half of it is new";
  EXPECT_EQ(now.problem, "/etc/a.key: the key does not fit the certificate");
  files_["/etc/a.key"] = after;
  now = with_files_of_now(spec, reader());
  EXPECT_EQ(now.problem, "");
  ASSERT_TRUE(now.next.has_value());
  EXPECT_EQ(now.next->listeners.front().tls->certificates.front().key.text, after);
}

TEST(Bugs, Case090OneBadFileStopsTheRenewalOfOthers) {
  const tls::TestAuthority authority("root");
  std::map<std::string, std::string> files;
  const auto write = [&](const std::string& name, const char* who) {
    const tls::IdentityText made = authority.issue({.common_name = who});
    files[name + ".crt"] = made.certificate;
    files[name + ".key"] = made.key;
  };
  const FileReader reader = [&](const std::string& path) -> std::expected<std::string, std::string> {
    if (!files.contains(path)) return std::unexpected("No such file or directory");
    return files.at(path);
  };
  Spec spec;
  ListenerTlsSpec tls;
  for (const char* name : {"a", "b"}) {
    write(name, "old");
    const std::string path(name);
    tls.certificates.push_back(
        {.cert = {path + ".crt", files[path + ".crt"]}, .key = {path + ".key", files[path + ".key"]}});
  }
  spec.listeners.emplace_back().tls = tls;
  files.erase("a.key");
  write("b", "new");
  const FilesOfNow now = with_files_of_now(spec, reader);
  EXPECT_EQ(now.problem, "a.key: No such file or directory");
  ASSERT_TRUE(now.next.has_value());
  const auto& certificates = now.next->listeners.front().tls->certificates;
  EXPECT_EQ(certificates[0], tls.certificates[0]);
  EXPECT_EQ(certificates[1].cert.text, files["b.crt"]);
  EXPECT_EQ(certificates[1].key.text, files["b.key"]);
}

}  // namespace
}  // namespace weir::config
