#include "mailer/serve/limits/unused_heap.h"

#include <malloc.h>

#include <algorithm>

namespace lmtpq::mailer {

// The first look after a trim measures what that left: fragments, which another one would not free
// either.
bool UnusedHeap::grew(std::uint64_t unused, Time now) {
  least_ = std::min(least_, unused);
  if (unused - least_ < std::max(kMargin, least_ / kPart) || now < not_before_) {
    return false;
  }
  least_ = UINT64_MAX;
  not_before_ = now + kPause;
  return true;
}

std::uint64_t unused_memory(std::uint64_t anonymous) {
  const struct mallinfo2 heap = mallinfo2();
  return anonymous - std::min<std::uint64_t>(anonymous, heap.uordblks + heap.hblkhd);
}

void trim_heap() { malloc_trim(0); }

}  // namespace lmtpq::mailer
