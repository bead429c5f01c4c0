// What this session has found out about relations, by their oid. It is kept until the server says
// that a relation's definition may have changed. That is a relcache invalidation, which arrives at
// the latest when the relation is locked for the next use.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// What all kinds of entries have in common. The server has room for ten callbacks in a process, for
// all its extensions, so there is one for all kinds.
class KnowledgeBase {
 public:
  using Forget = void (*)(KnowledgeBase* self, Oid relation);
  constexpr explicit KnowledgeBase(Forget forget) : forget_(forget) {}

  // From now on `forget` is called for each relation that changed. InvalidOid means all.
  void follow_changes();

  Forget forget_;
  KnowledgeBase* next_ = nullptr;
};

// What every entry begins with.
struct Known {
  Oid relation;
  bool valid;    // the rest of the entry is true
  bool changed;  // the relation has changed since finding out began
};

// Entries of one kind. An Entry begins with a member `known` of type Known.
template <typename Entry>
class Knowledge : private KnowledgeBase {
 public:
  constexpr Knowledge() : KnowledgeBase(forget) {}

  // The entry for the relation. If it is not valid, or if `fits(entry)` is false, `find_out(entry)`
  // fills in the rest and returns whether it may be kept. The caller holds a lock on the relation
  // that keeps out each change that would make the answer wrong. After any other change meanwhile
  // the next use finds out anew.
  template <typename Fits, typename FindOut>
  const Entry& about(Relation relation, Fits fits, FindOut find_out) {
    if (!entries_) begin();
    Oid oid = RelationGetRelid(relation);
    bool found = false;
    auto* entry = static_cast<Entry*>(hash_search(entries_, &oid, HASH_ENTER, &found));
    if (found && entry->known.valid && fits(*entry)) return *entry;
    entry->known.valid = false;  // and so it stays if finding out fails
    entry->known.changed = false;
    const bool keep = find_out(*entry);
    entry->known.valid = keep && !entry->known.changed;
    return *entry;
  }

  // From now on a change of this relation puts all entries in doubt.
  void depend_on(Oid relation) { foundation_ = relation; }

 private:
  static void doubt(Entry& entry) {
    entry.known.valid = false;
    entry.known.changed = true;
  }

  static void forget(KnowledgeBase* self, Oid relation) {
    auto* knowledge = static_cast<Knowledge*>(self);
    if (OidIsValid(relation) && relation != knowledge->foundation_) {
      auto* entry =
          static_cast<Entry*>(hash_search(knowledge->entries_, &relation, HASH_FIND, nullptr));
      if (entry) doubt(*entry);
      return;
    }
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, knowledge->entries_);
    while (auto* entry = static_cast<Entry*>(hash_seq_search(&scan))) doubt(*entry);
  }

  void begin() {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Entry);
    entries_ = hash_create("KanthorQ relations", 16, &control, HASH_ELEM | HASH_BLOBS);
    follow_changes();
  }

  HTAB* entries_ = nullptr;
  Oid foundation_ = InvalidOid;
};

}  // namespace kanthorq
