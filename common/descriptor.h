// File descriptors: an owner that closes one, moved and never copied; how many the process may
// have, and that the first three are in use.
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

// At the start of a program. Where descriptor 0, 1 or 2 is closed, a socket or a file would get its
// number, and what is printed or logged would be written there. Afterwards reading from 0 fails,
// so does writing to 1, and what is written to 2 is discarded.
void fill_standard_descriptors();

// As many descriptors as the hard limit allows.
void raise_descriptor_limit();

}  // namespace lmtpq
