#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "sim/scenario_check.h"

namespace weir::sim {

// The TLS of a schedule: whether there is any, the certificates, and what goes wrong with it on either side. It draws
// from a generator of its own, so that what has no TLS is the same schedule with it or without.
class ScenarioTls {
 public:
  // `note` is told of each fault and way.
  ScenarioTls(Outside& outside, std::uint64_t seed, std::function<void(std::string_view)> note);
  ~ScenarioTls();

  static bool is_spoken(std::uint64_t seed);
  bool spoken() const { return spoken_; }
  // Null in a schedule without TLS. Lives as long as this.
  const TlsTraits* traits() const { return spoken_ ? &traits_ : nullptr; }

  // What the configuration names.
  void write_files(WholeWeir& weir) const;
  // Another certificate for clients, by the same authority, once the configuration is read again.
  void renew(WholeWeir& weir) const;

  // Before the client begins: whether it speaks TLS, how, and what is wrong with that.
  void equip(ScenarioClient& client);
  // Once it has begun: what it does after that.
  void misbehave(ScenarioClient& client);
  // For the next connection that it accepts.
  void equip(SimBackend& backend, double fault_chance);
  // What was wrong with the TLS of backends.
  const std::set<TlsBackendFault>& faults_of_backends() const { return faults_of_backends_; }
  // What came of it, for whoever counts the ways.
  void note_ways(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends) const;

 private:
  struct Contexts;
  class Client;
  class BackendEnd;

  void misbehave(Peer& peer, TlsBackendFault fault);
  // Sends what is none, now or later.
  void break_record(Peer& peer);
  Duration some_time(Duration at_most) {
    return Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(at_most.count()))));
  }
  std::string garbage();

  Outside& outside_;
  Rng rng_;
  const std::function<void(std::string_view)> note_;
  const bool spoken_;
  TlsTraits traits_;
  std::unique_ptr<Contexts> contexts_;
  std::vector<std::unique_ptr<BackendEnd>> backend_ends_;
  std::set<TlsBackendFault> faults_of_backends_;
};

}  // namespace weir::sim
