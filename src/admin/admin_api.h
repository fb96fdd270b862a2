#pragma once

#include "admin/control_view.h"
#include "admin/guard.h"
#include "admin/message.h"
#include "admin/target.h"

namespace weir::admin {

// Answers requests, whatever they came over. No I/O. On the control loop.
class AdminApi {
 public:
  // `control` outlives it.
  AdminApi(ControlView& control, GuardSettings settings) : control_(control), settings_(std::move(settings)) {}

  // `send` is called once, perhaps before this returns, perhaps turns later.
  void handle(Request request, SendReply send);

 private:
  void read(Endpoint endpoint, const Request& request, SendReply send);
  void change(const Target& target, const Request& request, SendReply send);
  void reload(const Request& request, SendReply send);
  void add(const Target& target, const Request& request, SendReply send);
  void patch(const Target& target, const Request& request, SendReply send);
  void remove(const Target& target, const Request& request, SendReply send);

  ControlView& control_;
  const GuardSettings settings_;
};

}  // namespace weir::admin
