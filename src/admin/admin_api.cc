#include "admin/admin_api.h"

#include <utility>

#include "admin/json.h"
#include "http/field.h"

namespace weir::admin {
namespace {

Reply refusal(const ChangeError& error) {
  switch (error.kind) {
    case ChangeError::Kind::not_found:
      return error_reply(404, error.message);
    case ChangeError::Kind::conflict:
      return error_reply(409, error.message);
    case ChangeError::Kind::invalid:
      return error_reply(422, error.message);
    case ChangeError::Kind::unavailable:
      return error_reply(503, error.message);
  }
  return error_reply(500, error.message);
}

bool is_json(const std::optional<std::string>& content_type) {
  if (!content_type) return false;
  std::string_view type = *content_type;
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return http::equals_ignoring_case(type, "application/json");
}

template <typename T>
void send_error(SendReply& send, const Parsed<T>& parsed) {
  send(error_reply(parsed.error().status, parsed.error().message));
}

}  // namespace

void AdminApi::handle(Request request, SendReply send) {
  const auto target = parse_target(request.path);
  if (!target) return send(error_reply(400, "broken percent-encoding in the path"));
  if (target->endpoint == Endpoint::unknown) return send(error_reply(404, "no such path"));
  if (!allows(target->endpoint, request.method)) {
    Reply reply = error_reply(405, "method not allowed");
    reply.allow = allowed_methods(target->endpoint);
    return send(std::move(reply));
  }
  if (request.method == http::Method::get) {
    read(target->endpoint, request, std::move(send));
  } else {
    change(*target, request, std::move(send));
  }
}

void AdminApi::read(Endpoint endpoint, const Request& request, SendReply send) {
  switch (endpoint) {
    case Endpoint::livez:
      return send(text_reply(200, "ok\n"));
    case Endpoint::readyz: {
      const ReadyView view = control_.ready();
      return send(view.ready ? text_reply(200, "ready\n") : text_reply(503, view.reason + "\n"));
    }
    case Endpoint::metrics:
      return control_.render_metrics(request.accept.value_or(""), [send = std::move(send)](MetricsText text) mutable {
        send(Reply{.body = std::move(text.body), .own_content_type = std::move(text.content_type)});
      });
    case Endpoint::clusters:
      return control_.clusters([send = std::move(send)](std::vector<ClusterView> clusters) mutable {
        send(json_reply(200, clusters_json(clusters)));
      });
    case Endpoint::config:
      return send(json_reply(200, config_json(control_.config())));
    case Endpoint::routes:
      return send(json_reply(200, routes_json(*control_.routes_json())));
    case Endpoint::dashboard:
      return send(error_reply(404, "the dashboard is not supported yet"));
    case Endpoint::explain:
      return send(error_reply(501, "not supported yet"));
    default:
      return send(error_reply(404, "no such path"));
  }
}

void AdminApi::change(const Target& target, const Request& request, SendReply send) {
  if (auto refused = refuse_change(request, settings_)) return send(std::move(*refused));
  if (!request.body.empty() && !is_json(request.content_type)) {
    return send(error_reply(415, "content-type must be application/json"));
  }
  if (target.endpoint == Endpoint::reload) return reload(request, std::move(send));
  if (target.endpoint == Endpoint::backends) return add(target, request, std::move(send));
  if (request.method == http::Method::patch) return patch(target, request, std::move(send));
  remove(target, request, std::move(send));
}

void AdminApi::reload(const Request& request, SendReply send) {
  if (const auto parsed = parse_nothing(request.body); !parsed) return send_error(send, parsed);
  control_.reload([send = std::move(send)](Change<std::uint64_t> result) mutable {
    send(result ? json_reply(200, generation_json(*result)) : refusal(result.error()));
  });
}

void AdminApi::add(const Target& target, const Request& request, SendReply send) {
  auto parsed = parse_new_backend(request.body);
  if (!parsed) return send_error(send, parsed);
  control_.add_backend(target.cluster, std::move(*parsed),
                       [send = std::move(send)](Change<BackendView> result) mutable {
                         send(result ? json_reply(201, backend_json(*result)) : refusal(result.error()));
                       });
}

void AdminApi::patch(const Target& target, const Request& request, SendReply send) {
  const auto parsed = parse_backend_patch(request.body);
  if (!parsed) return send_error(send, parsed);
  control_.patch_backend(target.cluster, target.backend, *parsed,
                         [send = std::move(send)](Change<BackendView> result) mutable {
                           send(result ? json_reply(200, backend_json(*result)) : refusal(result.error()));
                         });
}

void AdminApi::remove(const Target& target, const Request& request, SendReply send) {
  if (const auto parsed = parse_nothing(request.body); !parsed) return send_error(send, parsed);
  control_.remove_backend(target.cluster, target.backend, [send = std::move(send)](Change<void> result) mutable {
    send(result ? Reply{.status = 204} : refusal(result.error()));
  });
}

}  // namespace weir::admin
