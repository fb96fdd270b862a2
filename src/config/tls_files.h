#pragma once

#include <string>

#include "config/reader.h"
#include "config/spec.h"

// What certificates and keys have to be.
namespace weir::config {

// Reports at the values of `cert_key` and `key_key` in `mapping` what is wrong with the files that they name.
void check_identity(Reader& reader, NodeId mapping, const FileSpec& cert, const FileSpec& key);
// Reports at `place` if a file of certificates has none.
void check_certificates(Reader& reader, NodeId place, const FileSpec& file);

}  // namespace weir::config
