// What memory holds when it is given back: has a secret been wiped?
//
// What it is: the program's own operator delete, which looks for some bytes in what it frees.
// What it does not know: memory that malloc(3) gave out, and what stands on the stack.
// Called by: tests of what wipes.
// Threads and lifetimes: sees its own thread while it lives; one at a time.
// Failure: none.
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
