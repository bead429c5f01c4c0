// Generated ids strictly increase, whatever the clock and the random source say. The input is a
// list of clock readings and random words.
#include "core/event_id.hpp"
#include "core/id_generator.hpp"

#include <algorithm>

#include "fuzz.hpp"

namespace {

using namespace kanthorq;

struct Ulid {
  static constexpr RandomBits bits = ulid_random;
  static std::string text(const IdGenerator& last) {
    const auto text = encode_ulid(as_ulid(last));
    return {text.begin(), text.end()};
  }
};

struct Uuidv7 {
  static constexpr RandomBits bits = uuidv7_random;
  static std::string text(const IdGenerator& last) {
    const auto text = encode_uuid(as_uuidv7(last));
    return {text.begin(), text.end()};
  }
};

// Close to the last reading, so that the same millisecond comes again, or anywhere.
std::uint64_t next_reading(fuzz::Input& input, std::uint64_t last) {
  const std::uint64_t kind = input.below(8);
  if (kind == 0) return input.word();
  if (kind == 1) return max_id_milliseconds - input.below(4);
  if (kind < 4) return last + input.below(4);
  if (kind == 4) return last - input.below(4);
  return last;
}

// Mostly close to the highest value, because what happens there is what is hard.
std::uint64_t random_word(fuzz::Input& input) {
  return input.below(4) == 0 ? input.word() : ~std::uint64_t{0} - input.below(4);
}

template <typename Form>
void generate(fuzz::Input input) {
  IdGenerator generator;
  std::string before;
  std::uint64_t now = input.word() >> 16;
  while (!input.empty()) {
    now = next_reading(input, now);
    const std::uint64_t highest = now < max_id_milliseconds ? now : max_id_milliseconds;
    const IdGenerator last = generator;
    int asked = 0;
    advance(generator, now, Form::bits, [&](std::uint64_t* high, std::uint64_t* low) {
      *high = random_word(input);
      *low = random_word(input);
      asked++;
    });
    // Borrowing beyond the last millisecond is where ids end; there is none to compare with.
    if (generator.milliseconds > max_id_milliseconds) return;
    const std::string id = Form::text(generator);
    REQUIRE(before < id);
    before = id;
    REQUIRE(asked == (last.started && generator.milliseconds == last.milliseconds ? 0 : 1));
    REQUIRE(generator.milliseconds >= last.milliseconds);
    REQUIRE(generator.milliseconds >= highest);
    REQUIRE(generator.milliseconds <= std::max(highest, last.milliseconds + 1));
    const EventIdVerdict verdict = check_event_id(id);
    REQUIRE(verdict.fault == EventIdFault::none);
    REQUIRE(verdict.milliseconds == generator.milliseconds);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  generate<Ulid>({data, size});
  generate<Uuidv7>({data, size});
  return 0;
}
