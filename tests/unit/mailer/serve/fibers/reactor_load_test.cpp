#include "mailer/serve/fibers/reactor.h"

#include <cppunit/extensions/HelperMacros.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "mailer/message/message_spool.h"

using namespace lmtpq;
using namespace lmtpq::mailer;
using std::chrono::milliseconds;

namespace {

std::size_t in_use() {
  const struct mallinfo2 now = mallinfo2();
  return now.uordblks + now.hblkhd;
}

// For a minute at most.
void await(const std::function<bool()>& condition) {
  const Deadline latest = Clock::now() + std::chrono::minutes(1);
  while (!condition() && Clock::now() < latest) {
    std::this_thread::sleep_for(milliseconds(1));
  }
}

void await(const std::atomic<int>& done, int many) {
  await([&] { return done >= many; });
  CPPUNIT_ASSERT_EQUAL(many, done.load());
}

}  // namespace

class ReactorLoadTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ReactorLoadTest);
  CPPUNIT_TEST(finishedFibersLeaveNothing);
  CPPUNIT_TEST(aDeadlineIsMetAfterManyOthers);
  CPPUNIT_TEST(aDeadlineIsMetAlthoughOldTimersAreForgotten);
  CPPUNIT_TEST(blockingCallsDoNotDelayOtherFibers);
  CPPUNIT_TEST(shortWorkDoesNotWaitForAllThatAreBusy);
  CPPUNIT_TEST(workSideBySideNeedsNoThread);
  CPPUNIT_TEST(aMessageIsSpooledAndReadByFibers);
  CPPUNIT_TEST_SUITE_END();

  void finishedFibersLeaveNothing() {
    const Descriptor readable(eventfd(1, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    const auto run_some = [&](int until) {
      while (done < until) {
        const int before = done;
        reactor.start([&] {
          wait_for(readable.number(), POLLIN, Clock::now() + std::chrono::minutes(10));
          ++done;
        });
        await(done, before + 1);
      }
    };
    run_some(2000);
    const std::size_t used = in_use();
    run_some(12'000);
    CPPUNIT_ASSERT(in_use() < used + 64 * 1024);
  }

  void aDeadlineIsMetAfterManyOthers() {
    const Descriptor silent(eventfd(0, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    for (int i = 0; i < 3000; ++i) {
      reactor.start([&, i] {
        // Each first waits for long, and is then interrupted.
        Scheduler::current()->wait_for(silent.number(), POLLIN,
                                       Clock::now() + std::chrono::minutes(10));
        const Deadline deadline = Clock::now() + milliseconds(20 + i % 50);
        Scheduler::current()->sleep(deadline);
        done += Clock::now() >= deadline ? 1 : 0;
      });
    }
    std::this_thread::sleep_for(milliseconds(50));
    reactor.interrupt_waits();
    await(done, 3000);
  }

  // Each wait ends before the one before it would have, so it sets a timer.
  void aDeadlineIsMetAlthoughOldTimersAreForgotten() {
    const Descriptor readable(eventfd(1, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    reactor.start([&] {
      Scheduler::current()->sleep(Clock::now() + milliseconds(300));
      ++done;
    });
    reactor.start([&] {
      const Deadline far = Clock::now() + std::chrono::minutes(10);
      for (int i = 0; i < 5000; ++i) {
        Scheduler::current()->wait_for(readable.number(), POLLIN, far - milliseconds(i));
      }
      ++done;
    });
    await(done, 2);
  }

  // Each time that it waits, one of the ten goes on, not all of them.
  void shortWorkDoesNotWaitForAllThatAreBusy() {
    constexpr int kBusy = 10;
    constexpr int kWaits = 100;
    const Descriptor readable(eventfd(1, EFD_CLOEXEC));
    Reactor reactor;
    std::atomic<int> done = 0;
    std::atomic<int> turns = 0;
    std::atomic<bool> stop = false;
    for (int i = 0; i < kBusy; ++i) {
      reactor.start([&] {
        while (!stop) {
          const Clock::time_point end = Clock::now() + Reactor::kShare;
          while (Clock::now() < end) {
          }
          ++turns;
          pace();
        }
        ++done;
      });
    }
    await([&] { return turns >= 2 * kBusy; });
    int between = 0;
    reactor.start([&] {
      const int before = turns;
      for (int i = 0; i < kWaits; ++i) {
        wait_for(readable.number(), POLLIN, Clock::now() + std::chrono::minutes(10));
      }
      between = turns - before;
      stop = true;
    });
    await(done, kBusy);
    // More only where it used its own share, or the machine did not let it run.
    CPPUNIT_ASSERT(between >= kWaits / 2);
    CPPUNIT_ASSERT(between < 4 * kWaits);
  }

  void workSideBySideNeedsNoThread() {
    Reactor reactor;
    std::atomic<int> done = 0;
    int at_once = 0;
    int most_at_once = 0;
    std::set<std::thread::id> threads;
    std::string order;
    reactor.start([&] {
      run_side_by_side(6, 4, [&](std::size_t i) {
        threads.insert(std::this_thread::get_id());
        most_at_once = std::max(most_at_once, ++at_once);
        sleep_until(Clock::now() + milliseconds(20));
        --at_once;
        order += static_cast<char>('0' + i);
      });
      run_side_by_side(0, 4, [&](std::size_t) { order += '?'; });
      ++done;
    });
    await(done, 1);
    CPPUNIT_ASSERT_EQUAL(4, most_at_once);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, threads.size());
    CPPUNIT_ASSERT_EQUAL(std::size_t{6}, order.size());
  }

  void aMessageIsSpooledAndReadByFibers() {
    constexpr int kMessages = 20;
    constexpr std::size_t kSize = 3'000'000;
    const std::string folder = std::filesystem::temp_directory_path();
    Reactor reactor;
    std::atomic<int> done = 0;
    std::atomic<int> good = 0;
    for (int i = 0; i < kMessages; ++i) {
      reactor.start([&, i] {
        {
          MessageSpool spool(folder, std::nullopt);
          std::string text;
          for (std::size_t k = 0; text.size() < kSize; ++k) {
            text += std::to_string(k * static_cast<std::size_t>(i + 1)) + "\r\n";
          }
          for (std::size_t at = 0; at < text.size(); at += 7'777) {
            spool.append(std::string_view(text).substr(at, 7'777));
          }
          MessageSpool::Reader reader(spool);
          std::string_view piece;
          std::string read;
          while (reader.next(piece) == MessageSpool::Reader::Result::kBytes) {
            read += piece;
          }
          good += spool.in_file() && read == text ? 1 : 0;
        }
        MessageSpool lost("/does/not/exist", std::nullopt);
        lost.append(std::string(MessageSpool::kMemory + 1, 'x'));
        good += lost.state() == MessageSpool::State::kUnspooled ? 1 : 0;
        ++done;
      });
    }
    await(done, kMessages);
    CPPUNIT_ASSERT_EQUAL(2 * kMessages, good.load());
  }

  void blockingCallsDoNotDelayOtherFibers() {
    Reactor reactor;
    std::atomic<bool> goes_on = false;
    std::atomic<int> done = 0;
    reactor.start([&] {
      run_blocking([&] {
        while (!goes_on) {
          std::this_thread::sleep_for(milliseconds(1));
        }
      });
      ++done;
    });
    reactor.start([&] {
      try {
        run_blocking([] { throw std::runtime_error("told"); });
      } catch (const std::runtime_error&) {
        goes_on = true;
        ++done;
      }
    });
    await(done, 2);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReactorLoadTest);
