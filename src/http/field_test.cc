#include "http/field.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "base/arena.h"
#include "http/head.h"
#include "http/list.h"
#include "http/scan.h"

namespace weir::http {
namespace {

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return result;
}

TEST(FieldId, KnowsEachNameInAnyCaseAndNothingNearIt) {
  for (int i = 1; i < static_cast<int>(FieldId::count_); ++i) {
    const auto id = static_cast<FieldId>(i);
    const std::string name(field_name(id));
    ASSERT_GE(name.size(), 2u);
    EXPECT_EQ(field_id(name), id) << name;
    EXPECT_EQ(field_id(upper(name)), id) << name;
    EXPECT_EQ(field_id(name + "s"), FieldId::other) << name;
    EXPECT_EQ(field_id(std::string_view(name).substr(1)), FieldId::other) << name;
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = name;
        changed[at] = static_cast<char>(byte);
        EXPECT_EQ(field_id(changed) == id, equals_ignoring_case(changed, name)) << name << " " << at << " " << byte;
      }
    }
  }
  EXPECT_EQ(field_id(""), FieldId::other);
  EXPECT_EQ(field_id("x"), FieldId::other);
  EXPECT_EQ(field_name(FieldId::other), "");
}

TEST(FieldSyntax, TokensAndValues) {
  EXPECT_TRUE(is_token("X-a_1!#$%&'*+.^`|~"));
  for (const char* text : {"", "a b", "a:", "a\t", "(", "\x80", "a\x7f", "a,b", "\"", "{", "@"})
    EXPECT_FALSE(is_token(text)) << text;
  for (const char* text : {"", "a", "a b", "a\tb", "\x80\xff"}) EXPECT_TRUE(is_field_value(text)) << text;
  for (const char* text : {" a", "a ", "\ta", "a\t", "a\rb", "a\nb", "\x01", "\x7f"})
    EXPECT_FALSE(is_field_value(text)) << text;
  EXPECT_FALSE(is_field_value(std::string_view("a\0b", 3)));
  EXPECT_TRUE(equals_ignoring_case("aZ[", "Az["));
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
}

TEST(Lists, SkipsEmptyElementsAndBlanks) {
  std::string seen;
  EXPECT_TRUE(
      for_each_element(" , a ,\tb\t,, c", [&](std::string_view e) { return seen.append(e).append("|"), true; }));
  EXPECT_EQ(seen, "a|b|c|");
  EXPECT_TRUE(list_has("close, Keep-Alive", "keep-alive"));
  EXPECT_FALSE(list_has("keep-alives", "keep-alive"));
  EXPECT_FALSE(list_has("", "a"));
}

TEST(FieldList, FindsRemovesAndGrows) {
  BufferPool pool;
  Arena arena(pool);
  FieldList fields(arena);
  for (int i = 0; i < 100; ++i) fields.add_copy("X-" + std::to_string(i), std::to_string(i));
  fields.add_copy("VIA", "1");
  fields.add_copy("Via", "2");
  ASSERT_EQ(fields.size(), 102u);
  EXPECT_EQ(fields.find("x-77")->value(), "77");
  EXPECT_EQ(fields.count(FieldId::via), 2u);
  EXPECT_TRUE(fields.has(FieldId::via));
  fields.remove("x-77");
  fields.remove(FieldId::via);
  EXPECT_EQ(fields.find("X-77"), nullptr);
  EXPECT_FALSE(fields.has(FieldId::via));
  EXPECT_EQ(fields.count(FieldId::via), 0u);
  EXPECT_EQ(fields.find(FieldId::host), nullptr);
  fields.remove(FieldId::other);
  EXPECT_NE(fields.find("x-1"), nullptr);
}

TEST(FieldList, RebaseMovesOnlyWhatPointsIntoTheText) {
  BufferPool pool;
  Arena arena(pool);
  FieldList fields(arena);
  const std::string from = "a: b\r\n";
  const std::string to = from;
  static constexpr std::string_view kOwn = "own";
  fields.add(std::string_view(from).substr(0, 1), std::string_view(from).substr(3, 1), FieldId::other);
  fields.add(kOwn, kOwn, FieldId::other);
  fields.rebase(from, to.data());
  EXPECT_EQ(fields.begin()->name_data, to.data());
  EXPECT_EQ(fields.begin()->value_data, to.data() + 3);
  EXPECT_EQ((fields.begin() + 1)->name_data, kOwn.data());
}

TEST(Methods, RoundTripAndIdempotence) {
  for (int i = 0; i < static_cast<int>(Method::other); ++i) {
    const auto method = static_cast<Method>(i);
    EXPECT_EQ(parse_method(to_string(method)), method);
  }
  for (const char* text : {"", "get", "PURGE", "GETS"}) EXPECT_EQ(parse_method(text), Method::other);
  EXPECT_TRUE(is_idempotent(Method::put));
  EXPECT_FALSE(is_idempotent(Method::post));
  EXPECT_FALSE(is_idempotent(Method::patch));
  EXPECT_FALSE(is_idempotent(Method::other));
}

template <CharClass kClass>
void expect_same(std::string_view text) {
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p < end; p += 7) {
    RC_ASSERT(Simd::find_not_in<kClass>(p, end) == Scalar::find_not_in<kClass>(p, end));
  }
}

RC_GTEST_PROP(Scan, SimdGivesWhatScalarGives, ()) {
  std::string text = *rc::gen::container<std::string>(rc::gen::inRange<char>('a', 'z'));
  text.append(*rc::gen::inRange(0, 70), 'x');
  text += *rc::gen::arbitrary<std::string>();
  if (!text.empty()) text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
  expect_same<kTokenChars>(text);
  expect_same<kValueChars>(text);
  expect_same<kTargetChars>(text);
  expect_same<kAlphaNumeric>(text);
}

TEST(Scan, EachByteInEachPlaceIsSeenAlike) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      text[at] = static_cast<char>(byte);
      const char* end = text.data() + text.size();
      EXPECT_EQ(Simd::find_not_in<kTokenChars>(text.data(), end), Scalar::find_not_in<kTokenChars>(text.data(), end));
      EXPECT_EQ(Simd::find_not_in<kValueChars>(text.data(), end), Scalar::find_not_in<kValueChars>(text.data(), end));
      EXPECT_EQ(Simd::find_not_in<kTargetChars>(text.data(), end), Scalar::find_not_in<kTargetChars>(text.data(), end));
    }
  }
}

}  // namespace
}  // namespace weir::http
