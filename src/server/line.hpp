// The line in which sessions wait for one consumer.
//
// With five hundred sessions that wait for a consumer, a commit must not wake them all: one of them
// takes what is there, and the others would look for nothing. So a commit calls one session of the
// line. Nobody is forgotten, because of three rules:
//   - Whoever is called looks, at everything that is there by then. Until it begins to look, nobody
//     else needs to be called.
//   - Whoever takes events and leaves some calls the next when its transaction ends. So all go on,
//     one after the other, while there is more. If the transaction rolls back, it calls the next in
//     any case.
//   - Whoever leaves the line without that, because its time is over or because of an error, calls
//     another in its stead.
// The session that looked last knows when a retry or a deadline falls due, and looks then, and once
// a second. Should it fail to, another one notices and looks. So a call that is lost costs a second
// and no event.
//
// A process stands in one line at most. An error takes it out of the line (wake.cpp).
#pragma once

#include "server/pg.hpp"
#include "server/shared.hpp"

namespace kanthorq {

// Who has called a session.
enum class Caller : std::uint32_t { nobody, commit, session };

// Enters the line of a consumer of this database (the oid of its table). False if there is no
// shared memory or no line left.
bool enter_line(std::string_view stream, Oid consumer);

// Call before each look: whoever calls from now on ends the sleep after it. Returns who has called
// since the last look.
Caller begin_look();

// Promises that this session will look, although it is going to do something else first. Nobody is
// called until it has begun to. False if another session has promised that already: then there is
// no need to.
bool promise_look();

// To be called when a promised look begins, if one is promised.
void begin_promised_look();

// Sleeps until this session is called, or for `ms`. Returns whether it was called.
bool sleep_until_called(int64 ms);

// To be called after a sleep that nobody has ended: how many milliseconds are left until this
// session is to look. None if it looked last; else it looks if the one that did fails to.
int64 until_look_is_missed();

// To be called after a commit that brought nothing. Returns for how many milliseconds the session
// may pause: nobody is called meanwhile, because it promises to look then. Pauses grow up to
// `longest_ms` while the line gets no events. None if another session has promised to look.
int64 begin_pause(int64 longest_ms);

// Leaves the line, if this session stands in one. Calls another session if `call_next`, or if this
// one was called since it began to look.
void leave_line(bool call_next);

// Calls a session of this line, unless one is about to look.
void call_one(Line& line, Caller caller);

// A consumer's line is one of so many, from the one that its hash names on. Two sessions that enter
// at the same moment may choose different ones. That does no harm: each line has its own calls.
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
