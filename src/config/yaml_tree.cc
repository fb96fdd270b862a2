#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <libfyaml.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "config/yaml_text.h"

namespace weir::config {

namespace {

struct ParserDeleter {
  void operator()(fy_parser* parser) const { fy_parser_destroy(parser); }
};
struct DiagDeleter {
  void operator()(fy_diag* diag) const { fy_diag_destroy(diag); }
};
using ParserPtr = std::unique_ptr<fy_parser, ParserDeleter>;
using DiagPtr = std::unique_ptr<fy_diag, DiagDeleter>;

void discard_output(fy_diag*, void*, const char*, std::size_t) {}

DiagPtr make_silent_diag() {
  fy_diag_cfg cfg{};
  fy_diag_cfg_default(&cfg);
  cfg.fp = nullptr;
  cfg.output_fn = discard_output;
  cfg.colorize = false;
  DiagPtr diag(fy_diag_create(&cfg));
  if (diag) fy_diag_set_collect_errors(diag.get(), true);
  return diag;
}

ParserPtr make_parser(fy_diag* diag, const char* text, std::size_t size) {
  fy_parse_cfg cfg{};
  cfg.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DISABLE_MMAP_OPT |
                                              FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE);
  cfg.diag = diag;
  ParserPtr parser(fy_parser_create(&cfg));
  if (parser && fy_parser_set_string(parser.get(), text, size) != 0) parser.reset();
  return parser;
}

}  // namespace

std::string_view YamlTree::text(const YamlNode& scalar) const {
  const std::string_view from = scalar.is_owned ? std::string_view(owned_text_) : source_;
  return from.substr(scalar.first, scalar.count);
}

// Builds a tree from the events of one or more parsers, each of which starts at a later offset.
class TreeBuilder {
 public:
  TreeBuilder(const SourceText& source, Diagnostics& diagnostics)
      : source_(source), text_(source.text()), diagnostics_(diagnostics) {
    tree_.source_ = text_;
  }

  YamlTree build() {
    std::size_t begin = text_.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    // Each round but the first starts behind the last; the bound keeps a hostile file from starting a parser per line.
    for (int round = 0; round < kMaxRounds && begin < text_.size(); ++round) {
      if (parse_from(begin)) break;
      tree_.complete_ = false;
      const std::size_t next = next_key_line(error_offset_);
      cut_open_collections(next);
      if (next == std::string_view::npos || stop_) break;
      begin = next;
    }
    if (!frames_.empty()) close_collection();
    return std::move(tree_);
  }

 private:
  static constexpr int kMaxRounds = 50;

  struct Frame {
    NodeId node;
    std::size_t scratch;   // where its children begin in scratch_
    std::uint64_t weight;  // nodes below it, aliases expanded
    std::string anchor;
    bool is_flow;
  };
  struct Anchor {
    NodeId node;
    std::uint64_t weight;
  };

  // True if the text was read to its end.
  bool parse_from(std::size_t begin);
  bool handle(fy_event* event);
  void add_yaml_error(fy_diag* diag);
  std::size_t next_key_line(std::size_t behind) const;
  void cut_open_collections(std::size_t resume);
  bool open_collection(fy_event* event, NodeKind kind);
  void close_collection();
  bool add_scalar(fy_event* event);
  bool add_alias(fy_event* event);
  bool attach(NodeId id, std::uint64_t weight, std::string anchor);
  NodeId new_node(YamlNode node);
  void refuse_tag(fy_event* event);
  bool fail_at(std::size_t offset, std::string message, std::string hint = {});
  std::size_t offset_of(const fy_mark* mark) const { return base_ + mark->input_pos; }
  std::size_t scalar_offset(fy_token* token, fy_scalar_style style) const;
  static std::string token_text(fy_token* token);

  const SourceText& source_;
  std::string_view text_;
  Diagnostics& diagnostics_;
  YamlTree tree_;
  std::vector<Frame> frames_;
  std::vector<NodeId> scratch_;
  std::map<std::string, Anchor, std::less<>> anchors_;
  std::size_t base_ = 0;         // where the running parser began
  std::size_t last_offset_ = 0;  // behind the last token
  std::size_t error_offset_ = 0;
  std::uint64_t alias_nodes_ = 0;
  int documents_ = 0;  // of the running parser
  bool resumed_ = false;
  bool stop_ = false;  // an error after which going on makes no sense
};

bool TreeBuilder::fail_at(std::size_t offset, std::string message, std::string hint) {
  error_offset_ = offset;
  diagnostics_.add(offset, std::move(message), std::move(hint));
  stop_ = true;
  return false;
}

bool TreeBuilder::parse_from(std::size_t begin) {
  base_ = begin;
  last_offset_ = begin;
  documents_ = 0;
  const DiagPtr diag = make_silent_diag();
  const ParserPtr parser = diag ? make_parser(diag.get(), text_.data() + begin, text_.size() - begin) : nullptr;
  if (!parser) return fail_at(begin, "the YAML parser could not be started");
  bool ended = false;
  while (fy_event* event = fy_parser_parse(parser.get())) {
    ended = event->type == FYET_STREAM_END;
    const bool ok = handle(event);
    fy_parser_event_free(parser.get(), event);
    if (!ok) return false;
  }
  if (ended && !fy_parser_get_stream_error(parser.get())) return true;
  add_yaml_error(diag.get());
  return false;
}

void TreeBuilder::add_yaml_error(fy_diag* diag) {
  std::string message = "this is not YAML";
  error_offset_ = last_offset_;
  void* iterator = nullptr;
  if (const fy_diag_error* error = fy_diag_errors_iterate(diag, &iterator)) {
    if (error->msg != nullptr) message = error->msg;
    const std::size_t lines_before = source_.position(base_).line - 1;
    error_offset_ = std::max(base_, source_.offset(lines_before + static_cast<std::size_t>(std::max(error->line, 1)),
                                                   static_cast<std::size_t>(std::max(error->column, 1))));
  }
  // A bracket that is never closed is noticed at the next key or later; the fault is where it was opened.
  std::string hint;
  const auto flow = std::ranges::find_if(frames_, &Frame::is_flow);
  if (flow != frames_.end()) {
    const std::size_t opened = tree_.nodes_[flow->node].offset;
    if (message.find("without a closing") != std::string::npos || next_key_line(opened) <= error_offset_) {
      message = "a bracket that is not closed";
      error_offset_ = opened;
    } else if (error_offset_ > 0 && text_.substr(error_offset_ - 1).starts_with("${")) {
      hint = "inside [...] and {...} a value with ${...} needs quotes";
    }
  }
  diagnostics_.add(error_offset_, "invalid YAML: " + message, std::move(hint));
}

// Where the next line behind an offset begins that has a key at its first column and so belongs to the top mapping.
std::size_t TreeBuilder::next_key_line(std::size_t behind) const {
  if (frames_.empty() || frames_.front().is_flow || tree_.nodes_[frames_.front().node].kind != NodeKind::kMapping) {
    return std::string_view::npos;
  }
  const auto is_key = [](std::string_view line) {
    const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
    return end != 0 && end != std::string_view::npos && line[end] == ':' &&
           (end + 1 == line.size() || line[end + 1] == ' ');
  };
  for (std::size_t number = source_.position(behind).line + 1;; ++number) {
    const std::size_t start = source_.offset(number, 1);
    if (start <= behind) return std::string_view::npos;
    if (is_key(source_.line(number))) return start;
    if (start + source_.line(number).size() >= text_.size()) return std::string_view::npos;
  }
}

void TreeBuilder::cut_open_collections(std::size_t resume) {
  const auto flow = std::ranges::find_if(frames_, &Frame::is_flow);
  if (flow != frames_.end()) diagnostics_.ignore(tree_.nodes_[flow->node].offset, resume);
  while (frames_.size() > 1) {
    tree_.nodes_[frames_.back().node].is_cut = true;
    close_collection();
  }
  if (frames_.empty()) return;
  YamlNode& root = tree_.nodes_[frames_.front().node];
  root.is_cut = true;
  if (root.kind == NodeKind::kMapping && (scratch_.size() - frames_.front().scratch) % 2 != 0) scratch_.pop_back();
  resumed_ = true;
}

std::string TreeBuilder::token_text(fy_token* token) {
  std::size_t length = 0;
  const char* text = fy_token_get_text(token, &length);
  return text == nullptr ? std::string() : std::string(text, length);
}

void TreeBuilder::refuse_tag(fy_event* event) {
  fy_token* tag = fy_event_get_tag_token(event);
  if (tag == nullptr) return;
  const fy_mark* mark = fy_token_start_mark(tag);
  diagnostics_.add(mark != nullptr ? offset_of(mark) : last_offset_, "YAML tags are not supported");
}

bool TreeBuilder::handle(fy_event* event) {
  switch (event->type) {
    case FYET_DOCUMENT_START: {
      if (++documents_ == 1) return true;
      const fy_mark* mark = fy_event_start_mark(event);
      const bool is_marked = mark != nullptr && mark->line >= 0;
      return fail_at(is_marked ? offset_of(mark) : last_offset_, "a configuration is one YAML document");
    }
    case FYET_MAPPING_START:
      return open_collection(event, NodeKind::kMapping);
    case FYET_SEQUENCE_START:
      return open_collection(event, NodeKind::kSequence);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
      if (const fy_mark* mark = fy_event_end_mark(event)) last_offset_ = offset_of(mark);
      // The top mapping stays open until all parsers are done: a later one may go on with it.
      if (frames_.size() > 1) close_collection();
      return true;
    case FYET_SCALAR:
      return add_scalar(event);
    case FYET_ALIAS:
      return add_alias(event);
    default:
      return true;
  }
}

NodeId TreeBuilder::new_node(YamlNode node) {
  if (tree_.nodes_.size() >= YamlTree::kMaxNodes) {
    fail_at(node.offset, "the configuration has too many values");
    return kNoNode;
  }
  tree_.nodes_.push_back(node);
  return static_cast<NodeId>(tree_.nodes_.size() - 1);
}

bool TreeBuilder::open_collection(fy_event* event, NodeKind kind) {
  refuse_tag(event);
  fy_token* token = fy_event_get_token(event);
  const fy_mark* mark = fy_event_start_mark(event);
  const std::size_t offset = mark != nullptr ? offset_of(mark) : last_offset_;
  last_offset_ = std::max(last_offset_, offset);
  const bool is_flow = token != nullptr && offset < text_.size() && (text_[offset] == '[' || text_[offset] == '{');
  if (resumed_ && frames_.size() == 1 && base_ == offset && kind == NodeKind::kMapping) {
    resumed_ = false;
    return true;
  }
  if (frames_.empty() && kind != NodeKind::kMapping) {
    return fail_at(offset, "the top level must be a mapping", "such as 'listeners: [...]'");
  }
  if (frames_.size() >= YamlTree::kMaxDepth) return fail_at(offset, "nested too deeply");
  if (!frames_.empty()) {
    const YamlNode& parent = tree_.nodes_[frames_.back().node];
    if (parent.kind == NodeKind::kMapping && (scratch_.size() - frames_.back().scratch) % 2 == 0) {
      return fail_at(offset, "a key must be plain text");
    }
  }
  YamlNode node;
  node.kind = kind;
  node.offset = static_cast<std::uint32_t>(offset);
  const NodeId id = new_node(node);
  if (id == kNoNode) return false;
  fy_token* anchor = fy_event_get_anchor_token(event);
  frames_.push_back({id, scratch_.size(), 1, anchor != nullptr ? token_text(anchor) : std::string(), is_flow});
  return true;
}

void TreeBuilder::close_collection() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  YamlNode& node = tree_.nodes_[frame.node];
  if (node.kind == NodeKind::kMapping && (scratch_.size() - frame.scratch) % 2 != 0) scratch_.pop_back();
  node.first = static_cast<std::uint32_t>(tree_.children_.size());
  node.count = static_cast<std::uint32_t>(scratch_.size() - frame.scratch);
  tree_.children_.insert(tree_.children_.end(), scratch_.begin() + static_cast<std::ptrdiff_t>(frame.scratch),
                         scratch_.end());
  scratch_.resize(frame.scratch);
  attach(frame.node, frame.weight, std::move(frame.anchor));
}

bool TreeBuilder::attach(NodeId id, std::uint64_t weight, std::string anchor) {
  if (!anchor.empty()) anchors_[std::move(anchor)] = {id, weight};
  if (frames_.empty()) {
    tree_.root_ = id;
    return true;
  }
  frames_.back().weight += weight;
  scratch_.push_back(id);
  return true;
}

// Quotes and block headers are not part of a token; a value begins with them.
std::size_t TreeBuilder::scalar_offset(fy_token* token, fy_scalar_style style) const {
  const fy_mark* mark = token != nullptr ? fy_token_start_mark(token) : nullptr;
  if (mark == nullptr || mark->line < 0) return std::string_view::npos;
  const std::size_t offset = std::min(offset_of(mark), text_.size());
  if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && offset > 0) return offset - 1;
  if (style == FYSS_LITERAL || style == FYSS_FOLDED) {
    bool in_comment = false;
    for (std::size_t i = last_offset_; i < offset; ++i) {
      if (text_[i] == '\n') in_comment = false;
      if (text_[i] == '#' && i > 0 && (text_[i - 1] == ' ' || text_[i - 1] == '\n')) in_comment = true;
      if (!in_comment && (text_[i] == '|' || text_[i] == '>')) return i;
    }
  }
  return offset;
}

bool TreeBuilder::add_scalar(fy_event* event) {
  refuse_tag(event);
  fy_token* token = fy_event_get_token(event);
  const fy_scalar_style style = token != nullptr ? fy_token_scalar_style(token) : FYSS_PLAIN;
  std::size_t offset = scalar_offset(token, style);
  const bool is_single = style == FYSS_SINGLE_QUOTED && offset < text_.size();
  const std::optional<std::string> unquoted = is_single ? unquote_single(text_.substr(offset + 1)) : std::nullopt;
  std::size_t length = unquoted ? unquoted->size() : 0;
  const char* text = unquoted ? unquoted->data() : token != nullptr ? fy_token_get_text(token, &length) : nullptr;
  if (offset == std::string_view::npos) {
    // A value that is not written stands at its key.
    offset = scratch_.empty() || frames_.empty() ? last_offset_ : tree_.nodes_[scratch_.back()].offset;
  } else if (const fy_mark* end = fy_token_end_mark(token)) {
    last_offset_ = std::max(offset, std::min(offset_of(end), text_.size()));
  }
  if (frames_.empty()) return fail_at(offset, "the top level must be a mapping", "such as 'listeners: [...]'");
  YamlNode node;
  node.is_plain = style == FYSS_PLAIN;
  node.offset = static_cast<std::uint32_t>(offset);
  node.count = static_cast<std::uint32_t>(length);
  if (length == 0) {
    node.first = 0;
  } else if (text >= text_.data() && text < text_.data() + text_.size()) {
    node.first = static_cast<std::uint32_t>(text - text_.data());
  } else {
    node.is_owned = true;
    node.first = static_cast<std::uint32_t>(tree_.owned_text_.size());
    tree_.owned_text_.append(text, length);
  }
  const NodeId id = new_node(node);
  if (id == kNoNode) return false;
  fy_token* anchor = fy_event_get_anchor_token(event);
  return attach(id, 1, anchor != nullptr ? token_text(anchor) : std::string());
}

bool TreeBuilder::add_alias(fy_event* event) {
  fy_token* token = fy_event_get_token(event);
  const fy_mark* mark = token != nullptr ? fy_token_start_mark(token) : nullptr;
  std::size_t offset = mark != nullptr ? offset_of(mark) : last_offset_;
  if (offset > 0 && text_[offset - 1] == '*') --offset;
  const std::string name = token != nullptr ? token_text(token) : std::string();
  const auto anchor = anchors_.find(name);
  if (frames_.empty()) return fail_at(offset, "the top level must be a mapping");
  if (anchor == anchors_.end()) {
    diagnostics_.add(offset, fmt::format("alias '*{}' has no anchor before it", name));
    YamlNode missing;
    missing.is_missing = true;
    missing.offset = static_cast<std::uint32_t>(offset);
    const NodeId id = new_node(missing);
    return id != kNoNode && attach(id, 1, {});
  }
  const bool is_key = (scratch_.size() - frames_.back().scratch) % 2 == 0 &&
                      tree_.nodes_[frames_.back().node].kind == NodeKind::kMapping;
  if (is_key && tree_.nodes_[anchor->second.node].kind != NodeKind::kScalar) {
    return fail_at(offset, "a key must be plain text");
  }
  alias_nodes_ += anchor->second.weight;
  if (alias_nodes_ > YamlTree::kMaxAliasNodes) return fail_at(offset, "aliases repeat too much");
  last_offset_ = std::max(last_offset_, offset);
  return attach(anchor->second.node, anchor->second.weight, {});
}

YamlTree YamlTree::read(const SourceText& source, Diagnostics& diagnostics) {
  YamlTree empty;
  empty.complete_ = false;
  if (source.text().size() > kMaxBytes) {
    diagnostics.add(0, fmt::format("the configuration is larger than {} MiB", kMaxBytes >> 20U));
    return empty;
  }
  if (refuse_text(source, diagnostics)) return empty;
  return TreeBuilder(source, diagnostics).build();
}

}  // namespace weir::config
