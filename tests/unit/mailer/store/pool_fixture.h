// PoolList over stores in memory.
//
// What it is: a Dialer that makes a store for each dial, and pools with the settings that they
//   need.
// What it does not know: messages.
// Called by: the tests of ConnectionPool and PoolList.
// Threads and lifetimes: the dialer may be used by several threads; a World outlives its leases.
// Failure: an assertion of the test's.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mailer/store/pool_list.h"
#include "tests/unit/mailer/io/scripted_channel.h"

namespace lmtpq::mailer {

// Until it is so; an assertion where it never is.
template <typename Condition>
void await(Condition condition) {
  for (const Deadline latest = Clock::now() + std::chrono::seconds(5); !condition();) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::yield();
  }
}

// Every dial gets a store of its own that takes mail, or what the members say.
class StoresDialer : public Dialer {
 public:
  struct Life {
    Play play;
    bool closed = false;
    bool cut = false;
  };

  Dialed dial(const Destination& destination, std::chrono::milliseconds, Deadline) override {
    const int dial = ++dials;
    std::this_thread::sleep_for(slowness);
    const Deadline latest = Clock::now() + std::chrono::seconds(2);  // a test that fails ends too
    while ((hanging >> std::min(dial, 31) & 1) != 0 && Clock::now() < latest) {
      std::this_thread::yield();
    }
    if (throws) {
      throw std::runtime_error("no memory");
    }
    const std::lock_guard lock(mutex_);
    most_open = std::max(most_open, ++open_);
    if (refuses || sick.contains(destination.text)) {
      --open_;
      return {nullptr, destination.text, destination.text + ": Connection refused"};
    }
    lives.push_back(std::make_unique<Life>());
    Life& life = *lives.back();
    life.play.replies = {"220 store\r\n", "250 store\r\n"};
    for (int i = 0; i < 100; ++i) {
      life.play.replies.push_back("250 ok\r\n");
    }
    return {std::make_unique<LivingChannel>(*this, life), destination.text, {}};
  }

  std::vector<std::unique_ptr<Life>> lives;
  std::atomic<bool> refuses = false;
  static constexpr unsigned kAll = ~0U;
  std::atomic<unsigned> hanging = 0;  // a bit for each of the dials
  std::atomic<bool> throws = false;
  std::set<std::string> sick;  // these destinations refuse
  std::atomic<int> dials = 0;
  std::chrono::milliseconds slowness{0};
  int most_open = 0;

 private:
  class LivingChannel : public ScriptedChannel {
   public:
    LivingChannel(StoresDialer& dialer, Life& life)
        : ScriptedChannel(life.play), dialer_(dialer), life_(life) {}
    ~LivingChannel() override {
      const std::lock_guard lock(dialer_.mutex_);
      life_.closed = true;
      --dialer_.open_;
    }
    void cut() override { life_.cut = true; }
    bool quiet() override { return !life_.play.replies.empty() && ScriptedChannel::quiet(); }

   private:
    StoresDialer& dialer_;
    Life& life_;
  };

  std::mutex mutex_;
  int open_ = 0;
};

struct World {
  explicit World(ConnectionPool::Limits limits,
                 const std::vector<std::string>& destinations = {"unix:/s"},
                 const std::string& file = {})
      : log("test", "/dev/null", LogLevel::kInfo) {
    Config config(option_table(Command::kServe, settings), {kStorePrefix});
    config.take_arguments({"--tls=none"});
    config.take_text(file, "f");
    config.apply();
    for (const std::string& destination : destinations) {
      settings.destinations.push_back(parse_destination(destination));
    }
    settings.stores = find_stores(config, settings.destinations);
    pools = std::make_unique<PoolList>(settings, dialer, log, limits);
  }
  ConnectionPool& pool() { return (*pools)[0]; }
  Lease take(std::chrono::milliseconds patience = std::chrono::milliseconds(200)) {
    return pool().take(Clock::now() + patience, failure);
  }

  Settings settings;
  Log log;
  StoresDialer dialer;
  std::unique_ptr<PoolList> pools;
  ConnectionPool::Failure failure;
};

// A transaction that leaves the connection clean.
inline void use(Lease& lease) {
  Transaction transaction;
  transaction.recipients.push_back({Mailbox::parse("u").value(), false});
  transaction.purpose = Transaction::Purpose::kAsk;
  lease->ask(std::move(transaction), Deadline::max());
  CPPUNIT_ASSERT(lease->client().reusable());
}

}  // namespace lmtpq::mailer
