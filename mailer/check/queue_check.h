// `lmtpq check --queue`: how many messages wait in a queue of Sendmail, and how many have a tag.
//
// Looks for qf and hf (quarantined) files in the folder and the queues below it, q1/ or q1/qf/.
// Reads only, with memory that does not grow with the queue. Follows no link; of files that vanish
// during the count nothing is said.
#pragma once

#include <cstddef>
#include <string>

namespace lmtpq::mailer {

struct QueueCount {
  std::size_t messages = 0;
  std::size_t tagged = 0;
  std::string failure;  // the first file or folder that could not be read, and why
};
QueueCount count_queue(const std::string& folder);

// Prints the count, or to standard error why it is not complete. Returns 0, 1 if a message has a
// tag, EX_IOERR (74) if something could not be read.
int check_queue(const std::string& folder);

}  // namespace lmtpq::mailer
