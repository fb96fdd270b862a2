#include "upstream/health/grpc_call.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

#include "http/grpc.h"
#include "http/http2/frame.h"

namespace weir::health {
namespace {

// Before each message: whether it is compressed, and its length.
constexpr std::size_t kPrefixBytes = 5;

void append_varint(std::string& out, std::size_t number) {
  for (; number >= 0x80; number >>= 7U) out += static_cast<char>((number & 0x7fU) | 0x80U);
  out += static_cast<char>(number);
}

std::optional<std::uint64_t> take_varint(std::string_view& in) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

bool skip(std::string_view& in, std::uint64_t bytes) {
  if (bytes > in.size()) return false;
  in.remove_prefix(static_cast<std::size_t>(bytes));
  return true;
}

// HealthCheckResponse's status (field 1); 0 (UNKNOWN) if it is not said. Other fields are for later versions.
std::optional<std::uint64_t> status_of(std::string_view body) {
  if (body.size() < kPrefixBytes || body[0] != '\0') return std::nullopt;
  if (http2::read_u32(body.data() + 1) != body.size() - kPrefixBytes) return std::nullopt;
  std::string_view in = body.substr(kPrefixBytes);
  std::uint64_t status = 0;
  while (!in.empty()) {
    const auto key = take_varint(in);
    if (!key) return std::nullopt;
    std::optional<std::uint64_t> value;
    switch (*key & 7U) {
      case 0:
        value = take_varint(in);
        if (!value) return std::nullopt;
        if (*key >> 3U == 1) status = *value;
        break;
      case 1:
        if (!skip(in, 8)) return std::nullopt;
        break;
      case 2:
        value = take_varint(in);
        if (!value || !skip(in, *value)) return std::nullopt;
        break;
      case 5:
        if (!skip(in, 4)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
  }
  return status;
}

std::string name_of(std::uint64_t status) {
  static constexpr std::string_view kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status < std::size(kNames) ? std::string(kNames[status]) : fmt::format("health status {}", status);
}

std::string name_of(grpc::Status status) {
  switch (status) {
    case grpc::Status::unimplemented:
      return "grpc-status 12: it has no health service";
    case grpc::Status::not_found:
      return "grpc-status 5: it does not know the service";
    default:
      return fmt::format("grpc-status {}", grpc::to_string(status));
  }
}

ProbeResult failure(std::string reason) {
  return {Outcome::failure, std::move(reason)};
}

}  // namespace

std::string grpc_request(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message = "\x0a";  // field 1, of a length
    append_varint(message, service.size());
    message += service;
  }
  std::string body(kPrefixBytes, '\0');
  http2::write_u32(body.data() + 1, static_cast<std::uint32_t>(message.size()));
  return body + message;
}

ProbeResult grpc_verdict(const http::ResponseHead& head, const http::FieldList& trailers, std::string_view message) {
  if (!grpc::is_grpc(head.fields)) return failure("its answer is not gRPC's");
  std::optional<grpc::Status> outcome = grpc::status_in(trailers);
  // Without a body it may stand in the head.
  if (!outcome && message.empty()) outcome = grpc::status_in(head.fields);
  if (!outcome) return failure("its answer has no grpc-status");
  if (*outcome != grpc::Status::ok) return failure(name_of(*outcome));
  const auto status = status_of(message);
  if (!status) return failure("its answer can't be read");
  constexpr std::uint64_t kServing = 1;
  return {*status == kServing ? Outcome::success : Outcome::failure, name_of(*status)};
}

}  // namespace weir::health
