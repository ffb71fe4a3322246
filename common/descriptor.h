// File descriptors: an owner that closes one, moved and never copied; and how many the process may
// have.
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

// As many descriptors as the hard limit allows.
void raise_descriptor_limit();

}  // namespace lmtpq
