// A file descriptor that is closed when its owner dies.
//
// What it is: the owner of a number.
// What it does not know: what is open there.
// Called by: whoever opens a file or a socket.
// Threads and lifetimes: one owner; moved, never copied.
// Failure: none; valid() tells whether there is one.
#pragma once

namespace lmtpq {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int number() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int release();

 private:
  int number_;
};

}  // namespace lmtpq
