// Connection pools over stores in memory, with a clock that stands still until a test moves it.
//
// The dialer may be used by several threads; a World must outlive its leases. Waits end when their
// condition holds; their deadlines only end a test that fails.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mailer/settings/destination_sections.h"
#include "mailer/store/pool_list.h"
#include "tests/unit/mailer/io/scripted_channel.h"

namespace lmtpq::mailer {

// Far enough for the slowest machine.
inline constexpr std::chrono::seconds kGenerous{60};
inline Deadline generous() { return Clock::now() + kGenerous; }

// Waits until the condition holds.
template <typename Condition>
void await(Condition condition) {
  for (const Deadline latest = generous(); !condition();) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

// Each dial reaches a new store that accepts mail, unless a member says otherwise.
class StoresDialer : public Dialer {
 public:
  struct Life {
    Play play;
    bool closed = false;
    bool cut = false;
    bool hangs_up = false;
    std::string last_words;                // they are there to be read
    std::function<void()> when_looked_at;  // while the pool looks whether it is alive
  };

  Dialled dial(const Destination& destination, std::chrono::milliseconds,
               const Patience& patience) override {
    const int dial = ++dials;
    given_up = patience.is_given_up();
    if (when_dialled) {
      when_dialled();
    }
    std::this_thread::sleep_for(slowness);
    for (const Deadline latest = generous();
         (hanging >> std::min(dial, 31) & 1) != 0 && Clock::now() < latest;) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    if (throws) {
      throw std::runtime_error("no memory");
    }
    const std::lock_guard lock(mutex_);
    most_open = std::max(most_open, ++open_);
    if (unresolved) {
      --open_;
      return {nullptr, destination.text, destination.text + ": look-up timed out", true};
    }
    if (refuses || down.contains(destination.text)) {
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
  std::atomic<bool> unresolved = false;
  static constexpr unsigned kAll = ~0U;
  std::atomic<unsigned> hanging = 0;  // a bit for each dial, counted from 1
  std::atomic<bool> throws = false;
  std::set<std::string> down;  // destinations that refuse
  std::atomic<int> dials = 0;
  std::atomic<bool> given_up = false;  // the last one, before it began
  std::function<void()> when_dialled;
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
    bool quiet() override {
      if (life_.when_looked_at) {
        life_.when_looked_at();
      }
      return !life_.hangs_up && life_.last_words.empty() && !life_.play.replies.empty() &&
             ScriptedChannel::quiet();
    }
    IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override {
      if (!life_.last_words.empty()) {
        in += std::exchange(life_.last_words, {});
        return IoStatus::kProgress;
      }
      return life_.hangs_up ? IoStatus::kClosed : ScriptedChannel::exchange(out, in, deadline);
    }
    const std::string& failure() const override {
      return life_.hangs_up ? kClosed : ScriptedChannel::failure();
    }

   private:
    inline static const std::string kClosed = "the peer closed the connection";
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
    OptionReader options = option_reader(Command::kServe, settings);
    options.take_arguments({"--tls=none"});
    options.take_text(file, "f");
    options.apply();
    for (const std::string& destination : destinations) {
      settings.destinations.push_back(parse_destination(destination));
    }
    settings.stores = find_stores(options, settings.destinations);
    for (const Store& store : settings.stores) {
      shared.push_back(std::make_shared<ConnectionPool>(
          std::make_unique<Connector>(store, settings, dialer, log), limits, nullptr,
          [this] { return now.load(); }));
    }
    pools = std::make_unique<PoolList>(shared, Balance::kReuse);
  }
  ConnectionPool& pool() { return (*pools)[0]; }
  Lease take(std::chrono::milliseconds patience = kGenerous) {
    return pool().take(Clock::now() + patience, failure);
  }
  void later(std::chrono::milliseconds span) { now = now.load() + span; }

  std::atomic<Clock::time_point> now = Clock::now();
  Settings settings;
  Log log;
  StoresDialer dialer;
  SharedPools shared;
  std::unique_ptr<PoolList> pools;
  ConnectionPool::Failure failure;
};

// Runs a transaction that leaves the connection clean.
inline void use(Lease& lease) {
  Transaction transaction;
  transaction.recipients.push_back({Mailbox::parse("u").value(), false});
  transaction.purpose = Transaction::Purpose::kAsk;
  lease->ask(std::move(transaction), Deadline::max());
  CPPUNIT_ASSERT(lease->client().reusable());
}

}  // namespace lmtpq::mailer
