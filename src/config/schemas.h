#pragma once

#include "config/schema.h"

// The tables of all sections.
namespace weir::config {

extern const Schema<Spec> kRootSchema;
extern const Schema<ListenerSpec> kListenerSchema;
extern const Schema<ClusterSpec> kClusterSchema;
extern const Schema<MatchSpec> kMatchSchema;
extern const Schema<RouteSpec> kRouteSchema;

}  // namespace weir::config
