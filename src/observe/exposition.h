#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "observe/metric_store.h"
#include "observe/process_metrics.h"

namespace weir::observe {

enum class ExpositionFormat : std::uint8_t { kPrometheusText004, kOpenMetrics100 };

struct RenderOptions {
  ExpositionFormat format = ExpositionFormat::kPrometheusText004;
  bool per_worker = true;  // false: the worker label is left out and its series are added up
};

// Appends all series of `stores` to `out`, then those of `process` (may be null). Series of the same family and labels
// are added up; the order is that of the families, then of the label values. Any thread that owns none of the stores;
// two renderings of the same stores wait for each other.
void render(std::span<const MetricStore* const> stores, const ProcessMetrics* process, const RenderOptions& options,
            std::string& out);

// The value of the content-type header.
std::string_view content_type(ExpositionFormat format);

// Which format the value of an Accept header (RFC 9110, 12.5.1) asks for: OpenMetrics only where it is named with a
// version that Weir writes and is not liked less than plain text.
ExpositionFormat choose_format(std::string_view accept);

}  // namespace weir::observe
