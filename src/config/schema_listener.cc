#include "config/codecs.h"
#include "config/schema_http2.h"
#include "config/schemas.h"
#include "config/tls_files.h"

namespace weir::config {

namespace {

constexpr Choice<Protocol> kProtocols[] = {{"auto", Protocol::kAuto},
                                           {"http1", Protocol::kHttp1},
                                           {"http2", Protocol::kHttp2},
                                           choice_not_yet<Protocol>("tcp")};
constexpr Choice<AccessLogFormat> kAccessLogFormats[] = {{"json", AccessLogFormat::kJson},
                                                         {"combined", AccessLogFormat::kCombined}};

constexpr Field<ListenerLimits> kLimitFields[] = {
    field<&ListenerLimits::header_bytes, SizeOrNone>("header_bytes"),
    field<&ListenerLimits::headers, CountOrNone>("headers"),
    field<&ListenerLimits::uri_bytes, SizeOrNone>("uri_bytes"),
    field<&ListenerLimits::body_bytes, BodySizeOrNone>("body_bytes"),
    field<&ListenerLimits::max_connections, CountOrNone>("max_connections"),
    field<&ListenerLimits::concurrent_streams, CountOrNone>("concurrent_streams"),
    field<&ListenerLimits::http2, ListenerHttp2Section>("http2"),
    field<&ListenerLimits::handshake_timeout, TimeoutOrNone>("handshake_timeout"),
    field<&ListenerLimits::header_timeout, TimeoutOrNone>("header_timeout"),
    field<&ListenerLimits::body_timeout, TimeoutOrNone>("body_timeout"),
    field<&ListenerLimits::body_min_rate, ByteRate>("body_min_rate"),
    field<&ListenerLimits::idle_timeout, TimeoutOrNone>("idle_timeout"),
    field<&ListenerLimits::tunnel_idle_timeout, TimeoutOrNone>("tunnel_idle_timeout"),
};
constexpr Schema<ListenerLimits> kLimitsSchema{kLimitFields};

constexpr Field<AccessLogSpec> kAccessLogFields[] = {
    field<&AccessLogSpec::path, PathValue>("path", Presence::kRequired),
    field<&AccessLogSpec::format, OneOf<AccessLogFormat, kAccessLogFormats>>("format"),
};
constexpr Schema<AccessLogSpec> kAccessLogSchema{kAccessLogFields};

constexpr Choice<TlsVersion> kTlsVersions[] = {{"1.2", TlsVersion::k1_2}, {"1.3", TlsVersion::k1_3}};

constexpr Field<CertificateSpec> kCertificateFields[] = {
    field<&CertificateSpec::cert, FileValue>("cert", Presence::kRequired),
    field<&CertificateSpec::key, FileValue>("key", Presence::kRequired),
};

void check_certificate(Reader& reader, NodeId id, CertificateSpec& certificate) {
  check_identity(reader, id, certificate.cert, certificate.key);
}
constexpr Schema<CertificateSpec> kCertificateSchema{kCertificateFields, check_certificate};

constexpr Field<ListenerTlsSpec> kTlsFields[] = {
    field<&ListenerTlsSpec::certificates, ListOf<Section<CertificateSpec, kCertificateSchema>>>("certificates",
                                                                                                Presence::kRequired),
    field<&ListenerTlsSpec::min_version, OneOf<TlsVersion, kTlsVersions>>("min_version"),
    field<&ListenerTlsSpec::client_ca, FileValue>("client_ca"),
};

void check_tls(Reader& reader, NodeId id, ListenerTlsSpec& tls) {
  const NodeId list = reader.find_value(id, "certificates");
  if (list != kNoNode && reader.node(list).kind == NodeKind::kSequence && tls.certificates.empty()) {
    reader.error(list, "expected at least one entry");
  }
  check_certificates(reader, reader.find_value(id, "client_ca"), tls.client_ca);
}
constexpr Schema<ListenerTlsSpec> kTlsSchema{kTlsFields, check_tls};

constexpr Field<ListenerSpec> kListenerFields[] = {
    field<&ListenerSpec::name, NameValue>("name"),
    field<&ListenerSpec::address, ListenAddress>("address", Presence::kRequired),
    field<&ListenerSpec::protocol, OneOf<Protocol, kProtocols>>("protocol"),
    field<&ListenerSpec::tls, Maybe<Section<ListenerTlsSpec, kTlsSchema>>>("tls"),
    field<&ListenerSpec::proxy_protocol, BoolValue>("proxy_protocol"),
    field<&ListenerSpec::trusted_proxies, ScalarList<CidrValue>>("trusted_proxies"),
    field<&ListenerSpec::limits, Section<ListenerLimits, kLimitsSchema>>("limits"),
    field<&ListenerSpec::access_log, Maybe<Section<AccessLogSpec, kAccessLogSchema>>>("access_log"),
    field<&ListenerSpec::via, BoolValue>("via"),
};

void check_listener(Reader& reader, NodeId id, ListenerSpec& listener) {
  const NodeId address = reader.find_value(id, "address");
  listener.position = reader.position(address == kNoNode ? reader.first_key(id) : address);
}

}  // namespace

constinit const Schema<ListenerSpec> kListenerSchema{kListenerFields, check_listener};

}  // namespace weir::config
