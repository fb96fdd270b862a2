#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace weir::config {

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = 0xffffffffU;

enum class NodeKind : std::uint8_t { kScalar, kSequence, kMapping };

struct YamlNode {
  NodeKind kind = NodeKind::kScalar;
  bool is_plain = false;     // a scalar without quotes that is no block: only such can be null
  bool is_cut = false;       // a collection that ends where the file stopped being YAML: something may be missing
  bool is_missing = false;   // stands for an alias without an anchor, which has been reported
  bool is_owned = false;     // a scalar's text stands in the tree, not in the file
  std::uint32_t offset = 0;  // byte offset in the file
  std::uint32_t first = 0;   // scalar: where its text begins; else its first entry among the children
  std::uint32_t count = 0;   // scalar: bytes of text; else number of children (a mapping's are key, value, key, value)
};

// A YAML document as a compact tree. Nodes used by several aliases are stored once. Depth is at most kMaxDepth and a
// walk over everything visits at most kMaxNodes + kMaxAliasNodes nodes, whatever the file says.
class YamlTree {
 public:
  static constexpr std::size_t kMaxBytes = 32U << 20U;
  static constexpr std::size_t kMaxNodes = 4'000'000;
  static constexpr std::size_t kMaxAliasNodes = 200'000;
  static constexpr std::size_t kMaxDepth = 32;

  // Reads a document. What is wrong goes to `diagnostics`; behind an error that stops YAML it goes on at the next key
  // of the top level, so that the rest is read too. `source` must outlive the tree.
  static YamlTree read(const SourceText& source, Diagnostics& diagnostics);

  // The top mapping; kNoNode if there is none.
  NodeId root() const { return root_; }

  // True if everything was read, so that what is not there was not written.
  bool complete() const { return complete_; }

  const YamlNode& node(NodeId id) const { return nodes_[id]; }
  std::size_t size() const { return nodes_.size(); }
  NodeId child(const YamlNode& parent, std::size_t index) const { return children_[parent.first + index]; }

  // A scalar's text; valid as long as the tree and its source.
  std::string_view text(const YamlNode& scalar) const;

 private:
  friend class TreeBuilder;

  std::string_view source_;
  std::string owned_text_;
  std::vector<YamlNode> nodes_;
  std::vector<NodeId> children_;
  NodeId root_ = kNoNode;
  bool complete_ = true;
};

}  // namespace weir::config
