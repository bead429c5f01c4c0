// Events in the binary forms that COPY and array parameters take. Bodies are 200 bytes, metadata is
// what a traced service sends. All rows are of one length, so new ids are written into a buffer
// that is made once.
#pragma once

#include <string>
#include <vector>

#include "session.hpp"

namespace bench {

extern const std::string subject;
extern const std::string rare_subject;  // as long as the other
extern const std::string body;
extern const std::string metadata;

// The next ULID of this process; they increase.
std::string next_id();

// The data of COPY (id, subject, body, metadata, created_at) FROM STDIN (FORMAT binary).
class CopyData {
 public:
  // Every `rare`-th row has the rare subject; none if it is 0.
  CopyData(long rows, long rare);
  void renew_ids();
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::vector<std::size_t> ids_;  // where they are
};

// Subjects, bodies and metadata as text[], bytea[] and jsonb[]; with ids, those as text[], too.
class Arrays {
 public:
  Arrays(long rows, bool with_ids);
  void renew_ids();
  const Parameters& parameters() const { return parameters_; }

 private:
  long rows_;
  bool with_ids_;
  Parameters parameters_;
};

}  // namespace bench
