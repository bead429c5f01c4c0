// Which subjects a consumer is for. The first line of the input is a subject, the others are
// filters: excludes if they start with an exclamation mark, else includes.
#include "core/selection.hpp"

#include "filters.hpp"

namespace {

using namespace kanthorq;

bool some_match(std::string_view subject, const std::vector<std::string_view>& filters) {
  for (std::string_view filter : filters)
    if (fuzz::matches(subject, filter)) return true;
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Words lines = fuzz::split(fuzz::as_text(data, size), '\n');
  const std::string& subject = lines[0];
  if (!is_subject(subject)) return 0;
  std::vector<std::string_view> includes;
  std::vector<std::string_view> excludes;
  for (std::size_t i = 1; i < lines.size(); i++) {
    std::string_view filter = lines[i];
    const bool exclude = !filter.empty() && filter.front() == '!';
    if (exclude) filter.remove_prefix(1);
    if (is_subject_filter(filter)) (exclude ? excludes : includes).push_back(filter);
  }
  const Selection selection{{includes.data(), includes.size()}, {excludes.data(), excludes.size()}};
  const bool selected = selection.selects(subject);
  REQUIRE(selected == (some_match(subject, includes) && !some_match(subject, excludes)));

  // More includes never take away, more excludes never add.
  if (!includes.empty() && !selected)
    REQUIRE(
        !(Selection{{includes.data(), includes.size() - 1}, selection.excludes}).selects(subject));
  if (!excludes.empty() && selected)
    REQUIRE(
        (Selection{selection.includes, {excludes.data(), excludes.size() - 1}}).selects(subject));
  return 0;
}
