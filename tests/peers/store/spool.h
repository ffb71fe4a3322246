// A message while it is received: a file without a name in the mailboxes' directory.
//
// Belongs to one client's thread; the file is gone with the object. error() is the errno of the
// first failure, 0 if there was none; bytes appended after that are dropped. copy_to() returns an
// errno.
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
