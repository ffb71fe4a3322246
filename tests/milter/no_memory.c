/* A preloaded library that refuses memory when it is told to. The file $NO_MEMORY is a struct
   Control that the test shares (refusal.py). What C++ asks for, with operator new, is told from
   what the C libraries ask for: libmilter answers a lack of memory by closing the connection. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct Control {
  _Atomic uint32_t one_in;        /* one in this many requests is refused; 0: none */
  _Atomic uint32_t new_one_in;    /* the same for C++'s operator new */
  _Atomic uint32_t countdown;     /* the request that finds 1 is refused; 0: none */
  _Atomic uint32_t new_countdown; /* of C++'s */
  _Atomic uint32_t refused;
};

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);

static struct Control none;
static struct Control* control = &none;
static uintptr_t new_begin, new_end; /* operator new's code */
static _Atomic uint64_t dice = 88172645463325252u;

__attribute__((constructor)) static void take_control(void) {
  const char* path = getenv("NO_MEMORY");
  void* code = dlsym(RTLD_DEFAULT, "_Znwm");
  Dl_info place;
  ElfW(Sym)* symbol = NULL;
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  void* shared = MAP_FAILED;
  if (file >= 0) {
    shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
  }
  if (shared != MAP_FAILED) control = shared;
  if (code && dladdr1(code, &place, (void**)&symbol, RTLD_DL_SYMENT) && symbol) {
    new_begin = (uintptr_t)code;
    new_end = new_begin + symbol->st_size;
  }
}

static int happens(uint32_t one_in) {
  uint64_t before = atomic_load(&dice), after;
  if (one_in == 0) return 0;
  do { /* xorshift */
    after = before ^ before << 13;
    after ^= after >> 7;
    after ^= after << 17;
  } while (!atomic_compare_exchange_weak(&dice, &before, after));
  return after % one_in == 0;
}

static int its_turn(_Atomic uint32_t* countdown) {
  uint32_t left = atomic_load(countdown);
  while (left > 0 && !atomic_compare_exchange_weak(countdown, &left, left - 1)) {
  }
  return left == 1;
}

static int refuses(void* caller) {
  const uintptr_t from = (uintptr_t)caller;
  const int is_new = from >= new_begin && from < new_end;
  const int refused =
      its_turn(&control->countdown) || happens(control->one_in) ||
      (is_new && (its_turn(&control->new_countdown) || happens(control->new_one_in)));
  if (!refused) return 0;
  atomic_fetch_add(&control->refused, 1);
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
