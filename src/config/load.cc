#include "config/load.h"

#include "config/reader.h"
#include "config/schemas.h"
#include "config/validate.h"
#include "config/yaml_tree.h"

namespace weir::config {

namespace {

std::string directory_of(std::string_view file_name) {
  const std::size_t slash = file_name.rfind('/');
  if (slash == std::string_view::npos) return {};
  return std::string(file_name.substr(0, slash == 0 ? 1 : slash));
}

}  // namespace

Parsed parse(std::string_view text, std::string file_name, const EnvironmentLookup& environment,
             const FileReader& files) {
  // The YAML parser wants a text that ends with a 0.
  const std::string terminated(text);
  const SourceText source(terminated);
  Spec spec;
  std::string base_dir = directory_of(file_name);
  Diagnostics diagnostics(source, std::move(file_name));
  const YamlTree tree = YamlTree::read(source, diagnostics);
  if (tree.root() != kNoNode) {
    Reader reader(tree, source, diagnostics, environment, files, std::move(base_dir), spec.unexpanded);
    read_section(reader, tree.root(), kRootSchema, spec);
    name_and_check(reader, tree.root(), spec);
  } else if (diagnostics.empty()) {
    diagnostics.add(0, "the configuration is empty", "'listeners', 'clusters' and 'routes' are required");
  }
  Parsed result;
  if (diagnostics.empty()) {
    result.spec = std::move(spec);
  } else {
    result.diagnostics = diagnostics.take();
  }
  return result;
}

std::string render(const std::vector<Diagnostic>& diagnostics) {
  std::string result;
  for (const Diagnostic& diagnostic : diagnostics) {
    result += diagnostic.render();
    result += '\n';
  }
  return result;
}

std::vector<std::string> accepted_leaf_keys() {
  LeafList list;
  list_leaves(list, kRootSchema);
  return std::move(list.keys);
}

}  // namespace weir::config
