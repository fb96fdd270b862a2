#include "filters/filter.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::filters {
namespace {

// Adds its letter to a body, counts its calls in its state, and replies once it has been called `replies_at` times.
class Letter final : public Filter {
 public:
  Letter(char letter, Steps steps, std::uint32_t replies_at = 0)
      : letter_(letter), steps_(steps), replies_at_(replies_at) {}

  std::string_view name() const override { return {&letter_, 1}; }
  Steps steps() const override { return steps_; }
  std::size_t state_bytes() const override { return 5; }

  Action on_request_head(http::RequestHead& head, FilterContext& context) const override {
    return mark(head.fields, context);
  }
  Action on_response_head(http::ResponseHead& head, FilterContext& context) const override {
    return mark(head.fields, context);
  }
  Action on_request_body(Buffer& piece, bool last, FilterContext& context) const override {
    if (last) piece.append(context.client);
    piece.append({&letter_, 1});
    return count(context);
  }
  Action on_response_body(Buffer& piece, bool, FilterContext& context) const override {
    piece.append({&letter_, 1});
    return count(context);
  }

 private:
  Action mark(http::FieldList& fields, FilterContext& context) const {
    fields.add_copy("x-letter", {&letter_, 1});
    return count(context);
  }
  Action count(FilterContext& context) const {
    auto& calls = *reinterpret_cast<std::uint32_t*>(context.state);
    return ++calls == replies_at_ ? Action::reply(429, "rate_limited") : Action::go_on();
  }

  char letter_;
  Steps steps_;
  std::uint32_t replies_at_;
};

class FilterChainTest : public testing::Test {
 protected:
  static std::string text(const Buffer& buffer) {
    std::string result(buffer.size(), '\0');
    buffer.peek(result.data(), result.size());
    return result;
  }
  static std::string letters(const http::FieldList& fields) {
    std::string result;
    for (const auto& field : fields) result += field.value();
    return result;
  }

  BufferPool pool_;
  Arena arena_{pool_};
  FilterChain::Call call_{arena_, TimePoint{}, "10.1.2.3"};
};

constexpr Steps kAll = Step::request_head | Step::response_head;

TEST_F(FilterChainTest, AnEmptyChainWantsNothingAndNeedsNoMemory) {
  const FilterChain chain;
  EXPECT_TRUE(chain.empty());
  EXPECT_FALSE(chain.wants(Step::request_head));
  const auto stream = chain.start(arena_);
  EXPECT_EQ(arena_.used(), 0U);
  http::RequestHead head(arena_);
  EXPECT_EQ(chain.apply_request_head(head, stream, call_).kind, Action::Kind::go_on);
}

TEST_F(FilterChainTest, CallsEachInOrderForTheStepsItWants) {
  const FilterChain chain({std::make_shared<Letter>('a', kAll),
                           std::make_shared<Letter>('b', steps_of(Step::request_head)),
                           std::make_shared<Letter>('c', Step::response_head | Step::request_body)});
  EXPECT_TRUE(chain.wants(Step::request_body));
  EXPECT_FALSE(chain.wants(Step::response_body));
  EXPECT_EQ(chain.names(), (std::vector<std::string_view>{"a", "b", "c"}));
  const auto stream = chain.start(arena_);
  http::RequestHead request(arena_);
  http::ResponseHead response(arena_);
  Buffer body(pool_);
  chain.apply_request_head(request, stream, call_);
  chain.apply_response_head(response, stream, call_);
  chain.apply_request_body(body, false, stream, call_);
  chain.apply_request_body(body, true, stream, call_);
  chain.apply_response_body(body, true, stream, call_);
  EXPECT_EQ(letters(request.fields), "ab");
  EXPECT_EQ(letters(response.fields), "ac");
  EXPECT_EQ(text(body), "c10.1.2.3c");
}

TEST_F(FilterChainTest, StopsAtTheFirstReply) {
  const FilterChain chain({std::make_shared<Letter>('a', kAll), std::make_shared<Letter>('b', kAll, 1),
                           std::make_shared<Letter>('c', kAll)});
  http::RequestHead head(arena_);
  const Action action = chain.apply_request_head(head, chain.start(arena_), call_);
  EXPECT_EQ(action.kind, Action::Kind::reply);
  EXPECT_EQ(action.status, 429);
  EXPECT_EQ(action.reason, "rate_limited");
  EXPECT_EQ(letters(head.fields), "ab");
}

TEST_F(FilterChainTest, EachStreamAndEachFilterHasItsOwnState) {
  const FilterChain chain({std::make_shared<Letter>('a', steps_of(Step::response_body), 2),
                           std::make_shared<Letter>('b', Step::response_body | Step::request_body, 3)});
  const auto first = chain.start(arena_);
  const auto second = chain.start(arena_);
  Buffer body(pool_);
  EXPECT_EQ(chain.apply_response_body(body, false, first, call_).kind, Action::Kind::go_on);
  EXPECT_EQ(chain.apply_response_body(body, false, second, call_).kind, Action::Kind::go_on);
  EXPECT_EQ(chain.apply_request_body(body, false, second, call_).kind, Action::Kind::go_on);
  EXPECT_EQ(chain.apply_request_body(body, false, second, call_).kind, Action::Kind::reply);
  EXPECT_EQ(chain.apply_response_body(body, false, first, call_).kind, Action::Kind::reply);
}

}  // namespace
}  // namespace weir::filters
