#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/spec.h"
#include "config/yaml_tree.h"

namespace weir::config {

// What reading a configuration needs: the tree, where errors go, the environment, and the JSON pointer of the value
// being read. Lives for one file. Every error is reported; reading always goes on.
class Reader {
 public:
  Reader(const YamlTree& tree, const SourceText& source, Diagnostics& diagnostics, const EnvironmentLookup& environment,
         const FileReader& files, std::string base_dir, Unexpanded& unexpanded)
      : tree_(tree),
        source_(source),
        diagnostics_(diagnostics),
        environment_(environment),
        files_(files),
        base_dir_(std::move(base_dir)),
        unexpanded_(unexpanded) {}

  // Makes a key or an index the last part of the pointer as long as it lives.
  class Scope {
   public:
    Scope(Reader& reader, std::string_view part);
    Scope(Reader& reader, std::size_t index);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { reader_.pointer_.resize(length_); }

   private:
    Reader& reader_;
    std::size_t length_;
  };

  const YamlTree& tree() const { return tree_; }
  const YamlNode& node(NodeId id) const { return tree_.node(id); }
  std::string_view base_dir() const { return base_dir_; }
  // May be empty.
  const FileReader& files() const { return files_; }
  const std::string& pointer() const { return pointer_; }
  Position position(NodeId id) const { return source_.position(node(id).offset); }

  // A key as it is written; keys are not expanded.
  std::string_view key_text(NodeId id) const { return tree_.text(node(id)); }

  // A scalar with its environment variables replaced; valid as long as the reader. `what` ends "expected ..." in
  // errors.
  std::optional<std::string_view> scalar(NodeId id, std::string_view what);

  // The value's text before its environment variables were replaced, empty if it had none.
  std::string_view unexpanded() const;
  void note_unexpanded(std::string pointer, std::string text);
  void forget_unexpanded();

  bool expect_mapping(NodeId id);
  bool expect_list(NodeId id);
  void expected(NodeId id, std::string_view what, std::string_view text, std::string hint = {});

  void error(NodeId at, std::string message, std::string hint = {});
  // Reports the key; gives the known one that is most like it, empty if none is.
  std::string_view unknown_key(NodeId key, std::span<const std::string_view> known);
  void double_key(NodeId key);
  void missing_key(NodeId mapping, std::string_view key);

  // The key and value nodes of a mapping's entry, kNoNode if it has none or is no mapping.
  NodeId find_key(NodeId mapping, std::string_view key) const;
  NodeId find_value(NodeId mapping, std::string_view key) const;

  // A mapping's first key, or the node itself where there is none.
  NodeId first_key(NodeId mapping) const;

 private:
  bool is_null(const YamlNode& node) const;
  std::string_view describe(NodeId id) const;
  std::size_t find_entry(NodeId mapping, std::string_view key) const;

  const YamlTree& tree_;
  const SourceText& source_;
  Diagnostics& diagnostics_;
  const EnvironmentLookup& environment_;
  const FileReader& files_;
  std::string base_dir_;
  Unexpanded& unexpanded_;
  std::string pointer_;
  std::deque<std::string> expanded_;
};

}  // namespace weir::config
