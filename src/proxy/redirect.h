#pragma once

#include <string>

#include "http/head.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// The Location of a redirect: what the redirect leaves out stays as in the request. `scheme` is the request's own. With
// path_prefix the part of the path that the route's own prefix matched is replaced. Pure.
std::string redirect_location(const Redirect& redirect, const Route& route, const http::RequestHead& request,
                              std::string_view scheme);

}  // namespace weir::proxy
