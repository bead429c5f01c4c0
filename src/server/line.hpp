// The line in which sessions wait for one consumer.
//
// With five hundred sessions that wait for a consumer, a commit must not wake them all: one of them
// takes what is there, and the others would look for nothing. So a commit wakes one session of the
// line. Nobody is forgotten, because of three rules:
//   - Whoever is woken looks, at everything that is there by then. Until it begins to look, nobody
//     else needs to be woken.
//   - If a session takes events and there are more, it wakes the next one when its transaction
//     ends. So all go on, one after the other. If the transaction rolls back, it wakes the next one
//     in any case.
//   - Whoever leaves the line without that, because its time is over or because of an error, wakes
//     another one in its stead.
// The session that looked last knows when a retry or a deadline falls due. It looks then, and once
// a second. If it fails to look, another one notices and does. So a lost wake-up costs a second and
// no event.
//
// A process stands in one line at most. An error takes it out of the line (wake.cpp).
#pragma once

#include "server/pg.hpp"
#include "server/shared.hpp"

namespace kanthorq {

// Who has woken a session.
enum class WokenBy : std::uint32_t { nobody, commit, session };

// Enters the line of a consumer of this database (the oid of its table). False if there is no
// shared memory or no line left.
bool enter_line(std::string_view stream, Oid consumer);

// Call before each look: whoever wakes a session from now on ends the sleep after it. Returns who
// has done so since the last look.
WokenBy begin_look();

// Promises that this session will look, although it is going to do something else first. Nobody is
// woken until it has begun to. False if another session has promised that already: then there is
// no need to.
bool promise_look();

// To be called when a promised look begins, if one is promised.
void begin_promised_look();

// Sleeps until this session is woken, or for `ms`. Returns whether it was woken.
bool sleep_until_woken(int64 ms);

// To be called after a sleep that nobody has ended: how many milliseconds are left until this
// session is to look. None if it looked last; else it looks if the one that did fails to.
int64 until_look_is_missed();

// How many milliseconds a session that need not look may sleep until it checks whether its client
// is still there, and whether a look was missed: the more, the more sessions stand in the line.
// Some of them check at any time, so a look that is missed is noticed as soon.
int64 until_next_check();

// To be called after a commit that brought nothing. Returns for how many milliseconds the session
// may pause: nobody is woken meanwhile, because it promises to look then. Pauses grow up to
// `longest_ms` while the line gets no events. None if another session has promised to look.
int64 begin_pause(int64 longest_ms);

// Leaves the line, if this session stands in one. Wakes another session if `wake_next`, or if this
// one was woken since it began to look.
void leave_line(bool wake_next);

// Wakes a session of this line, unless one is about to look.
void wake_one(Line& line, WokenBy by);

// A consumer's line is one of so many, from the one that its hash names on. Two sessions that enter
// at the same moment may choose different ones. That does no harm: a commit wakes one in each.
inline constexpr std::size_t lines_tried = 8;
std::size_t line_at(Oid consumer, std::size_t try_number);

// Is it the line of this consumer, with somebody in it?
bool is_line_of(Line& line, Oid consumer);

// Runs `body(line, number)` for each line in which sessions wait for the consumer.
template <typename Body>
void for_lines_of(Oid consumer, Body body) {
  Shared* shared = shared_memory();
  for (std::size_t i = 0; shared && i < lines_tried; i++) {
    const std::size_t number = line_at(consumer, i);
    if (is_line_of(shared->lines[number], consumer)) body(shared->lines[number], number);
  }
}

}  // namespace kanthorq
