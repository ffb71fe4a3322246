#include "mailer/serve/limits/unused_heap.h"

#include <cppunit/extensions/HelperMacros.h>

#include <memory>
#include <string>
#include <vector>

#include "mailer/serve/limits/memory_growth.h"

using namespace lmtpq::mailer;
using namespace std::chrono_literals;

class UnusedHeapTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(UnusedHeapTest);
  CPPUNIT_TEST(growthSinceTheLastTrimCounts);
  CPPUNIT_TEST(ofMuchAPartMustHaveGrown);
  CPPUNIT_TEST(itIsOnceInTenSeconds);
  CPPUNIT_TEST(aLargePieceIsUsed);
  CPPUNIT_TEST(whatABurstHasLeftGoesBackToTheSystem);
  CPPUNIT_TEST_SUITE_END();

  static constexpr std::uint64_t kMargin = UnusedHeap::kMargin;
  const UnusedHeap::Time start_{1000h};

  void growthSinceTheLastTrimCounts() {
    UnusedHeap heap;
    CPPUNIT_ASSERT(!heap.grew(9 * kMargin, start_));
    CPPUNIT_ASSERT(!heap.grew(5 * kMargin, start_ + 1s));
    CPPUNIT_ASSERT(!heap.grew(6 * kMargin - 1, start_ + 2s));
    CPPUNIT_ASSERT(heap.grew(6 * kMargin, start_ + 3s));
    CPPUNIT_ASSERT(!heap.grew(6 * kMargin, start_ + 60s));
    CPPUNIT_ASSERT(!heap.grew(7 * kMargin - 1, start_ + 61s));
    CPPUNIT_ASSERT(heap.grew(7 * kMargin, start_ + 62s));
  }

  void ofMuchAPartMustHaveGrown() {
    constexpr std::uint64_t kMuch = kMargin * UnusedHeap::kPart * 4;
    UnusedHeap heap;
    heap.grew(kMuch, start_);
    CPPUNIT_ASSERT(!heap.grew(kMuch + 4 * kMargin - 1, start_ + 1s));
    CPPUNIT_ASSERT(heap.grew(kMuch + 4 * kMargin, start_ + 2s));
  }

  void itIsOnceInTenSeconds() {
    UnusedHeap heap;
    heap.grew(0, start_);
    CPPUNIT_ASSERT(heap.grew(kMargin, start_ + 1s));
    heap.grew(0, start_ + 2s);
    CPPUNIT_ASSERT(!heap.grew(kMargin, start_ + 10s));
    CPPUNIT_ASSERT(heap.grew(kMargin, start_ + 11s));
  }

  // It is mapped, and not in the heap.
  void aLargePieceIsUsed() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const std::uint64_t before = unused_memory(anonymous_memory());
    const std::string piece(std::size_t{64} << 20, 'x');
    CPPUNIT_ASSERT(unused_memory(anonymous_memory()) < before + (std::uint64_t{32} << 20));
    CPPUNIT_ASSERT_EQUAL('x', piece.back());
#endif
  }

  // One of 16 pieces stays, so that none of it is at the end of the heap.
  void whatABurstHasLeftGoesBackToTheSystem() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their heaps are others
    constexpr std::size_t kPieces = 40'000;
    std::vector<std::unique_ptr<char[]>> pieces;
    for (std::size_t i = 0; i < kPieces; ++i) {
      pieces.push_back(std::make_unique<char[]>(1000));
    }
    const std::uint64_t before = unused_memory(anonymous_memory());
    for (std::size_t i = 0; i < kPieces; ++i) {
      if (i % 16 != 0) {
        pieces[i].reset();
      }
    }
    const std::uint64_t left = unused_memory(anonymous_memory());
    CPPUNIT_ASSERT(left > before + 30'000'000);
    trim_heap();
    CPPUNIT_ASSERT(unused_memory(anonymous_memory()) < left - 20'000'000);
#endif
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UnusedHeapTest);
