// Watches freed memory for a text, to test that secrets are wiped.
//
// Replaces operator delete. Does not see memory of malloc(3), nor the stack. Watches its own
// thread, one watch at a time.
#pragma once

#include <string_view>

class FreedMemory {
 public:
  explicit FreedMemory(std::string_view secret);  // must outlive it
  ~FreedMemory();
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;

  int holding_it() const;  // how many blocks held it when they were freed
};
