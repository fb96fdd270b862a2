#include "observe/exposition.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <vector>

#include "observe/text.h"

namespace weir::observe {
namespace {

// Writes the lines of one family after the other in one of the two formats.
class Writer {
 public:
  Writer(const RenderOptions& options, std::string& out)
      : open_metrics_(options.format == ExpositionFormat::kOpenMetrics100), out_(out) {}

  void head(std::string_view name, std::string_view help, CellType type, Unit unit) {
    std::string_view shown = name;  // OpenMetrics names a family without what its samples add
    if (open_metrics_ && type == CellType::kCounter) shown.remove_suffix(std::string_view("_total").size());
    if (open_metrics_ && type == CellType::kInfo) shown.remove_suffix(std::string_view("_info").size());
    append("# HELP ", shown, " ", help, "\n# TYPE ", shown, " ", type_name(type), "\n");
    if (open_metrics_ && unit != Unit::kNone) {
      append("# UNIT ", shown, unit == Unit::kBytes ? " bytes\n" : " seconds\n");
    }
  }

  // `labels` is what stands in the braces, escaped; may be empty.
  void sample(std::string_view name, std::string_view labels) {
    append(name);
    if (!labels.empty()) append("{", labels, "}");
    append(" ");
  }

  template <typename Number>
  void number(Number value) {
    append_number(out_, value);
    append("\n");
  }

  void real(double value) {
    std::array<char, 64> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed).ptr;
    append(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())), "\n");
  }

  void value(std::uint64_t value, Unit unit) {
    if (unit == Unit::kNanoseconds) {
      append_seconds(out_, value, false);
      append("\n");
    } else {
      number(value);
    }
  }

  void bound(std::string& to, std::uint64_t value, Unit unit) const {
    if (unit == Unit::kNanoseconds) {
      append_seconds(to, value, open_metrics_);
    } else {
      append_number(to, value);
      if (open_metrics_) to += ".0";
    }
  }

  template <typename... Parts>
  void append(const Parts&... parts) {
    (out_.append(std::string_view(parts)), ...);
  }

  void end() {
    if (open_metrics_) append("# EOF\n");
  }

 private:
  std::string_view type_name(CellType type) const {
    switch (type) {
      case CellType::kCounter:
        return "counter";
      case CellType::kGauge:
        return "gauge";
      case CellType::kInfo:
        return open_metrics_ ? "info" : "gauge";
      case CellType::kHistogram:
        break;
    }
    return "histogram";
  }

  const bool open_metrics_;
  std::string& out_;
};

void append_label_value(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t sequence = utf8_sequence_size(text.substr(i));
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '"') {
      out += "\\\"";
    } else if (c == '\n') {
      out += "\\n";
    } else if (sequence == 0) {
      out += kReplacementCharacter;
    } else {
      out.append(text, i, sequence);
    }
    i += std::max<std::size_t>(sequence, 1);
  }
}

using Run = std::span<const Series* const>;  // series of the same family and labels, from several stores

void append_labels(std::string& out, const Series& series, std::span<const Label> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += ',';
    out += name_of(names[i]);
    out += "=\"";
    append_label_value(out, series.label(i));
    out += '"';
  }
}

class FamilyRenderer {
 public:
  FamilyRenderer(const FamilyDescriptor& family, bool per_worker, Writer& writer) : family_(family), writer_(writer) {
    labels_ = family.labels();
    if (family.per_worker && !per_worker) labels_ = labels_.first(labels_.size() - 1);  // the worker comes last
    if (family.buckets == nullptr) return;
    for (std::size_t i = 0; i < family.buckets->size(); ++i) {
      writer.bound(bounds_[i], family.buckets->bound(i), family.unit);
      bounds_[i] += "\"} ";
    }
    bounds_[family.buckets->size()] = "+Inf\"} ";
    const std::string name(family.name);
    names_ = {name + "_bucket{", name + "_sum", name + "_count"};
  }

  void render(std::vector<const Series*>& all) {
    std::sort(all.begin(), all.end(), [&](const Series* a, const Series* b) { return order(*a, *b) < 0; });
    writer_.head(family_.name, family_.help, family_.type, family_.unit);
    for (std::size_t begin = 0; begin < all.size();) {
      std::size_t end = begin + 1;
      while (end < all.size() && order(*all[begin], *all[end]) == 0) ++end;
      render_run(Run(all).subspan(begin, end - begin));
      begin = end;
    }
  }

 private:
  int order(const Series& a, const Series& b) const {
    const int texts = a.packed_labels(labels_.size()).compare(b.packed_labels(labels_.size()));
    if (texts != 0) return texts;
    for (std::size_t i = 0; i < labels_.size(); ++i) {  // differs only if a value holds a NUL
      if (const int values = a.label(i).compare(b.label(i))) return values;
    }
    return 0;
  }

  void render_run(Run run) {
    text_.clear();
    append_labels(text_, *run.front(), labels_);
    switch (family_.type) {
      case CellType::kCounter: {
        std::uint64_t sum = 0;
        for (const Series* series : run) sum += series->counter().value();
        writer_.sample(family_.name, text_);
        writer_.value(sum, family_.unit);
        return;
      }
      case CellType::kGauge:
      case CellType::kInfo: {
        std::int64_t sum = 0;
        for (const Series* series : run) sum += series->gauge().value();
        writer_.sample(family_.name, text_);
        writer_.number(family_.type == CellType::kInfo ? 1 : sum);
        return;
      }
      case CellType::kHistogram:
        render_histogram(run);
        return;
    }
  }

  void render_histogram(Run run) {
    const std::size_t buckets = family_.buckets->size() + 1;
    std::array<std::uint64_t, kBucketsMax + 1> counts{};
    std::uint64_t sum = 0;
    for (const Series* series : run) {
      for (std::size_t i = 0; i < buckets; ++i) counts[i] += series->histogram().bucket_count(i);
      sum += series->histogram().sum();
    }
    prefix_ = names_[0];
    prefix_ += text_;
    prefix_ += text_.empty() ? "le=\"" : ",le=\"";
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      count += counts[i];
      writer_.append(prefix_, bounds_[i]);
      writer_.number(count);
    }
    writer_.sample(names_[1], text_);
    writer_.value(sum, family_.unit);
    writer_.sample(names_[2], text_);
    writer_.number(count);
  }

  const FamilyDescriptor& family_;
  Writer& writer_;
  std::span<const Label> labels_;
  std::array<std::string, kBucketsMax + 1> bounds_;
  std::array<std::string, 3> names_;
  std::string text_, prefix_;
};

void render_process(const ProcessMetrics& process, Writer& writer) {
  const auto head = [&](std::string_view name, std::string_view help, CellType type, Unit unit) {
    writer.head(name, help, type, unit);
    writer.sample(name, "");
  };
  head("process_cpu_seconds_total", "User and system processor time.", CellType::kCounter, Unit::kNanoseconds);
  writer.real(process.cpu_seconds);
  head("process_resident_memory_bytes", "Resident memory.", CellType::kGauge, Unit::kBytes);
  writer.number(process.resident_memory_bytes);
  head("process_virtual_memory_bytes", "Virtual memory.", CellType::kGauge, Unit::kBytes);
  writer.number(process.virtual_memory_bytes);
  head("process_open_fds", "Open file descriptors.", CellType::kGauge, Unit::kNone);
  writer.number(process.open_fds);
  if (process.max_fds > 0) {
    head("process_max_fds", "File descriptors that may be open.", CellType::kGauge, Unit::kNone);
    writer.number(process.max_fds);
  }
  head("process_start_time_seconds", "When the process began, since the epoch.", CellType::kGauge, Unit::kNanoseconds);
  writer.real(process.start_time_seconds);
}

}  // namespace

void render(std::span<const MetricStore* const> stores, const ProcessMetrics* process, const RenderOptions& options,
            std::string& out) {
  // Always locked in the same order, so that two renderings cannot wait for each other in a circle.
  std::vector<const MetricStore*> ordered(stores.begin(), stores.end());
  std::sort(ordered.begin(), ordered.end(), std::less<>{});
  std::vector<MetricStore::Reading> readings;
  readings.reserve(ordered.size());
  std::array<std::vector<const Series*>, kFamilyCount> families;
  for (const MetricStore* store : ordered) {
    readings.emplace_back(*store).for_each(
        [&](const Series& series) { families[static_cast<std::size_t>(series.family())].push_back(&series); });
  }
  Writer writer(options, out);
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    // A series that was removed and made again while we looked was perhaps found twice: only the new one counts.
    std::erase_if(families[i], [](const Series* series) { return series->detached(); });
    if (families[i].empty()) continue;
    FamilyRenderer(describe(static_cast<Family>(i)), options.per_worker, writer).render(families[i]);
  }
  if (process != nullptr) render_process(*process, writer);
  writer.end();
}

std::string_view content_type(ExpositionFormat format) {
  return format == ExpositionFormat::kOpenMetrics100 ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                     : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace weir::observe
