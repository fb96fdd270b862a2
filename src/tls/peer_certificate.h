#pragma once

#include "net/secure_layer.h"
#include "tls/openssl.h"

namespace weir::tls {

// What is told to backends of a certificate. Names that hold anything but visible ASCII, or a comma, which would look
// like the next name, are left out.
PeerCertificate describe(X509* certificate);

}  // namespace weir::tls
