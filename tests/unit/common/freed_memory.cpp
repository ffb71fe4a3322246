#include "tests/unit/common/freed_memory.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

thread_local std::string_view g_secret;
thread_local int g_holding = 0;

void* take(std::size_t size) noexcept { return std::malloc(size == 0 ? 1 : size); }

void give_back(void* memory) noexcept {
  if (memory != nullptr && !g_secret.empty()) {
    const std::string_view block(static_cast<const char*>(memory), malloc_usable_size(memory));
    g_holding += block.find(g_secret) != std::string_view::npos;
  }
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = take(size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return take(size); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }

FreedMemory::FreedMemory(std::string_view secret) {
  g_secret = secret.substr(1);  // a string that is cleared loses its first byte, and no more
  g_holding = 0;
}

FreedMemory::~FreedMemory() { g_secret = {}; }

int FreedMemory::holding_it() const { return g_holding; }
