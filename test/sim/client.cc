#include "sim/client.h"

#include <fmt/format.h>

namespace weir::sim {

void SimClient::request(std::string_view method, std::string_view target, std::string_view more,
                        std::string_view body) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: example.com\r\n{}", method, target, more);
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  text += "\r\n";
  text += body;
  raw(text, method);
}

void SimClient::raw(std::string_view bytes, std::string_view method) {
  if (!method.empty()) reader_.expect(std::string(method));
  send(bytes);
}

void SimClient::on_bytes(std::string_view bytes) {
  last_byte_at_ = outside().world().now();
  received_.append(bytes);
  reader_.feed(bytes);
  if (on_progress) on_progress();
}

void SimClient::on_ended() {
  ended_at_ = outside().world().now();
  reader_.end(got_reset());
}

}  // namespace weir::sim
