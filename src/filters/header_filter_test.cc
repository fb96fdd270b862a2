#include "filters/header_filter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace weir::filters {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

Lines lines_of(const http::FieldList& fields) {
  Lines lines;
  for (const auto& field : fields) {
    if (!field.removed) lines.emplace_back(field.name(), field.value());
  }
  return lines;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return text;
}

Lines lower_names(Lines lines) {
  for (auto& line : lines) line.first = lower(line.first);
  return lines;
}

class HeaderFilterTest : public testing::Test {
 protected:
  HeaderFilterTest() { head_.authority = "shop.example:8080"; }

  Lines apply(const HeaderRules& rules, const Lines& lines) {
    filter_.emplace(Direction::request, rules);
    for (const auto& [name, value] : lines) head_.fields.add_copy(name, value);
    EXPECT_EQ(filter_->on_request_head(head_, context_).kind, Action::Kind::go_on);
    return lower_names(lines_of(head_.fields));
  }

  BufferPool pool_;
  Arena arena_{pool_};
  FilterContext context_{arena_, TimePoint{}, {}, nullptr};
  http::RequestHead head_{arena_};
  std::optional<HeaderFilter> filter_;
};

TEST_F(HeaderFilterTest, SetReplacesAllInThePlaceOfTheFirst) {
  EXPECT_EQ(apply({{}, {{"x-env", "prod"}}, {}}, {{"a", "1"}, {"X-Env", "dev"}, {"b", "2"}, {"x-env", "test"}}),
            (Lines{{"a", "1"}, {"x-env", "prod"}, {"b", "2"}}));
}

TEST_F(HeaderFilterTest, SetAppendsWhatIsNotThere) {
  EXPECT_EQ(apply({{}, {{"x-env", "prod"}, {"user-agent", "weir"}}, {}}, {{"a", "1"}}),
            (Lines{{"a", "1"}, {"x-env", "prod"}, {"user-agent", "weir"}}));
}

TEST_F(HeaderFilterTest, AddKeepsWhatIsThere) {
  EXPECT_EQ(apply({{}, {}, {{"a", "2"}, {"a", "3"}}}, {{"A", "1"}}), (Lines{{"a", "1"}, {"a", "2"}, {"a", "3"}}));
}

TEST_F(HeaderFilterTest, RemoveTakesEveryLine) {
  EXPECT_EQ(apply({{"X-Debug", "cookie"}, {}, {}}, {{"x-debug", "1"}, {"Cookie", "a"}, {"b", "2"}, {"X-DEBUG", "2"}}),
            (Lines{{"b", "2"}}));
}

TEST_F(HeaderFilterTest, RemovesThenSetsThenAdds) {
  EXPECT_EQ(apply({{"a"}, {{"a", "set"}}, {{"a", "added"}}}, {{"a", "1"}, {"b", "2"}}),
            (Lines{{"b", "2"}, {"a", "set"}, {"a", "added"}}));
}

TEST_F(HeaderFilterTest, SettingHostLeavesWhatTheClientAskedFor) {
  EXPECT_EQ(apply({{}, {{"Host", "app.internal"}}, {}}, {{"host", "shop.example:8080"}}),
            (Lines{{"host", "app.internal"}}));
  EXPECT_EQ(head_.authority, "shop.example:8080");
}

TEST_F(HeaderFilterTest, OtherChangesLeaveTheAuthorityAlone) {
  apply({{}, {{"x-host", "app.internal"}}, {{"x", "1"}}}, {{"host", "shop.example:8080"}});
  EXPECT_EQ(head_.authority, "shop.example:8080");
}

TEST_F(HeaderFilterTest, ChangesResponsesWhenItIsForResponses) {
  const HeaderFilter filter(Direction::response, {{"server"}, {{"x-served-by", "weir"}}, {}});
  EXPECT_EQ(filter.name(), "response_headers");
  EXPECT_EQ(filter.steps(), steps_of(Step::response_head));
  http::ResponseHead head(arena_);
  head.fields.add_copy("Server", "nginx");
  head.fields.add_copy("etag", "x");
  filter.on_response_head(head, context_);
  EXPECT_EQ(lower_names(lines_of(head.fields)), (Lines{{"etag", "x"}, {"x-served-by", "weir"}}));
}

TEST_F(HeaderFilterTest, TakesNoMemoryWhereTheListHasRoom) {
  head_.fields.add_copy("a", "1");
  const std::size_t before = arena_.used();
  const HeaderFilter filter(Direction::request, {{"a"}, {{"x-env", "prod"}}, {{"b", "2"}}});
  filter.on_request_head(head_, context_);
  EXPECT_EQ(arena_.used(), before);
}

RC_GTEST_PROP(HeaderFilter, DoesWhatTheRulesSay, ()) {
  const auto name = rc::gen::element<std::string>("x-a", "X-A", "x-b", "Cookie", "cookie", "x-abcdefghijk");
  const auto line = rc::gen::pair(name, rc::gen::element<std::string>("1", "2", ""));
  const Lines received = *rc::gen::container<Lines>(line);
  HeaderRules rules;
  rules.remove = *rc::gen::resize(3, rc::gen::container<std::vector<std::string>>(name));
  rules.set = *rc::gen::resize(3, rc::gen::container<Lines>(line));
  rules.add = *rc::gen::resize(3, rc::gen::container<Lines>(line));

  Lines expected = lower_names(received);
  const auto is = [](const std::string& wanted) {
    return [key = lower(wanted)](const auto& entry) { return entry.first == key; };
  };
  for (const auto& removed : rules.remove) std::erase_if(expected, is(removed));
  for (const auto& [key, value] : rules.set) {
    const auto first = std::find_if(expected.begin(), expected.end(), is(key));
    const auto place = first - expected.begin();
    std::erase_if(expected, is(key));
    expected.insert(expected.begin() + place, {lower(key), value});
  }
  for (const auto& [key, value] : rules.add) expected.emplace_back(lower(key), value);

  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  for (const auto& [key, value] : received) head.fields.add_copy(key, value);
  const HeaderFilter filter(Direction::request, rules);
  FilterContext context{arena, TimePoint{}, {}, nullptr};
  filter.on_request_head(head, context);
  RC_ASSERT(lower_names(lines_of(head.fields)) == expected);
  for (const auto& field : head.fields) RC_ASSERT(field.id == http::field_id(field.name()));
  for (const auto& [key, value] : expected) RC_ASSERT(head.fields.find(key) != nullptr);
}

bool refused(Direction direction, HeaderChange change, std::string_view name, std::string_view value = "") {
  return header_rule_error(direction, change, name, value).has_value();
}

TEST(HeaderRuleError, AllowsOrdinaryFields) {
  EXPECT_FALSE(refused(Direction::request, HeaderChange::set, "x-env", "prod"));
  EXPECT_FALSE(refused(Direction::request, HeaderChange::add, "X-Env", ""));
  EXPECT_FALSE(refused(Direction::response, HeaderChange::remove, "Server"));
  EXPECT_FALSE(refused(Direction::request, HeaderChange::set, "Host", "app.internal:8080"));
}

TEST(HeaderRuleError, RefusesWhatIsNoField) {
  for (const char* name : {"", "a b", "a:", "a\r\nb", "\xc3\xa4"}) {
    for (const auto change : {HeaderChange::remove, HeaderChange::set, HeaderChange::add}) {
      EXPECT_TRUE(refused(Direction::request, change, name, "x")) << name;
    }
  }
  for (const char* value : {"a\r\nb: c", "a\n", " a", "a ", "\x01"}) {
    EXPECT_TRUE(refused(Direction::response, HeaderChange::set, "x-a", value)) << value;
    EXPECT_TRUE(refused(Direction::response, HeaderChange::add, "x-a", value)) << value;
  }
  EXPECT_TRUE(refused(Direction::request, HeaderChange::remove, std::string(70'000, 'a')));
}

TEST(HeaderRuleError, RefusesFramingAndHopByHopFields) {
  for (const char* name :
       {"Content-Length", "transfer-encoding", "Connection", "expect", "keep-alive", "upgrade", "TE", "trailer"}) {
    for (const auto direction : {Direction::request, Direction::response}) {
      for (const auto change : {HeaderChange::remove, HeaderChange::set, HeaderChange::add}) {
        EXPECT_TRUE(refused(direction, change, name, "1")) << name;
      }
    }
  }
}

TEST(HeaderRuleError, ARequestKeepsExactlyOneHost) {
  EXPECT_TRUE(refused(Direction::request, HeaderChange::remove, "HOST"));
  EXPECT_TRUE(refused(Direction::request, HeaderChange::add, "host", "a"));
  EXPECT_TRUE(refused(Direction::request, HeaderChange::set, "host", ""));
  EXPECT_TRUE(refused(Direction::request, HeaderChange::set, "host", "a b"));
}

}  // namespace
}  // namespace weir::filters
