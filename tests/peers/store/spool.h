// A message while it is taken in: a file without a name in the mailboxes' directory.
//
// What it is: bytes appended, their number, and a copy of them into another file.
// What it does not know: what a message looks like.
// Called by: take_message, which appends, and Mailboxes, which copies.
// Threads and lifetimes: belongs to one client's thread; the file is gone with the object.
// Failure: error() is the errno of the first thing that went wrong, 0 if nothing did; what is
//   appended after that is dropped. copy_to answers an errno.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace store {

class Spool {
 public:
  explicit Spool(const std::string& directory);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  void append(std::string_view bytes);
  void finish();  // after the last append
  std::uint64_t size() const { return size_; }
  int error() const { return error_; }
  int copy_to(int descriptor) const;

 private:
  void write_out();

  int descriptor_ = -1;
  int error_ = 0;
  std::uint64_t size_ = 0;
  std::string pending_;
};

}  // namespace store
