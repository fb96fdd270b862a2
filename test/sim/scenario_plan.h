#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "net/sim_faults.h"
#include "sim/backend.h"
#include "sim/scenario_config.h"

namespace weir::sim {

using DrawCounts = std::map<std::string, std::uint64_t>;

// What a backend does to one request.
enum class BackendFault : std::uint8_t {
  none,
  h1_resets_before_head,
  h1_resets_inside_head,
  h1_resets_after_head,
  h1_closes_at_byte_n,
  h1_stalls_before_head,
  h1_stalls_after_head,
  h1_sends_garbage,
  h1_sends_bad_chunks,
  h1_sends_both_framings,
  h1_sends_more_than_it_said,
  h1_switches_unasked,
  h1_drips,
  h1_answers_early,
  h1_answers_early_and_closes,
  h1_closes_after_answer,
  h1_answers_late,
  h1_stops_reading,
  grpc_unavailable,
  count_
};
std::string_view to_string(BackendFault fault);

// What a client does with its connection.
enum class ClientFault : std::uint8_t {
  none,
  aborts,
  closes_inside_request,
  half_closes,
  reads_slowly,
  stops_reading,
  sends_slowly,
  stalls_inside_head,
  stalls_inside_body,
  sends_garbage,
  pipelines,
  speaks_http10,
  says_nothing,
  h2_resets_streams,
  h2_tiny_windows,
  h2_holds_windows,
  h2_goes_away,
  h2_stalls_in_frame,
  h2_breaks_rules,
  count_
};
inline constexpr ClientFault kLastHttp1Fault = ClientFault::says_nothing;
std::string_view to_string(ClientFault fault);

// What is wrong with the TLS of a client.
enum class TlsClientFault : std::uint8_t {
  none,
  leaves_in_handshake,
  stalls_in_handshake,
  sends_garbage,
  speaks_in_clear,
  refuses_certificate,
  offers_unknown_protocol,
  is_too_old,
  leaves_without_goodbye,
  breaks_record,
  sends_alert,
  count_
};
std::string_view to_string(TlsClientFault fault);

// What is wrong with the TLS of a connection at a backend.
enum class TlsBackendFault : std::uint8_t {
  none,
  leaves_in_handshake,
  stalls_in_handshake,
  sends_garbage,
  answers_in_clear,
  offers_unknown_protocol,
  has_wrong_name,
  is_unknown,
  has_expired,
  leaves_without_goodbye,
  breaks_record,
  sends_alert,
  count_
};
std::string_view to_string(TlsBackendFault fault);

// One request of a client.
struct RequestPlan {
  std::string id;
  std::uint64_t number = 0;  // what the bodies' patterns are made from
  std::string method;
  std::size_t body_bytes = 0;
  bool chunked = false;
  bool expect = false;
  bool upgrade = false;
  bool close = false;
  bool http10 = false;
  bool trailers = false;
  bool grpc = false;
  std::uint64_t grpc_timeout_ms = 0;  // 0: none
  std::string from;                   // the address that it comes from, as the proxy should see it
  bool connect() const { return method == "CONNECT"; }
  // Besides those that frame it.
  Message::Fields fields() const;
  std::string target() const;
  std::string head() const;
  std::string body() const;  // with its framing
};
RequestPlan draw_request(Rng& rng, std::uint64_t number, bool http10);

// The backend's script for this request: `fault` tells how it goes wrong. `answer_bytes` and the framing come from the
// request's number, so that whoever gets the answer can tell what it should have been.
struct AnswerPlan {
  Script at_head;
  Script at_end;
};
AnswerPlan plan_answer(const Message& request, BackendFault fault, Rng& rng);
std::size_t answer_bytes(std::uint64_t number);
// The parts that it is made of. X-Number says which request it is.
std::uint64_t number_of(const Message& request);
// In HTTP/1; its framing is drawn by the number. `until_close`: nothing but the connection's end shows where it ends.
std::string proper_answer(const Message& request, std::uint64_t number, bool& until_close);
std::string grpc_unavailable(std::uint64_t number);
std::string switching_head(const Message& request, std::uint64_t number);
Script accept_upgrade(const Message& request, std::uint64_t number, Rng& rng);

// Draws what the network does to each connection.
class ScenarioFaults final : public FaultPlan {
 public:
  ScenarioFaults(Rng rng, double client_chance, double backend_chance)
      : rng_(rng), client_chance_(client_chance), backend_chance_(backend_chance) {}
  LinkPlan draw(const IpAddress& from, const SocketAddress& to, TimePoint now, Rng& rng) override;
  // The connections that were made since, from `from` to the proxy, all had nothing wrong with them.
  bool last_was_clean() const { return last_clean_; }
  bool may_cut_backends() const { return backend_chance_ > 0; }
  void stop() { client_chance_ = backend_chance_ = 0; }

 private:
  void draw_direction(DirectionPlan& plan);
  Rng rng_;
  double client_chance_;
  double backend_chance_;
  bool last_clean_ = true;
};

}  // namespace weir::sim
