// A directory in memory, for tests of those who ask it.
//
// What it is: answers by filter, failures on demand, and counts of what was asked.
// What it does not know: LDAP.
// Called by: directory_pool_test, directory_routes_test.
// Threads and lifetimes: its connections may be used by several threads, and must end before it.
// Failure: as the test says.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "mailer/routes/directory.h"

namespace lmtpq::mailer {

class ScriptedDirectory {
 public:
  using Entries = std::vector<std::vector<std::string>>;

  OpenDirectory opener() {
    return [this](std::string& why) { return open(why); };
  }

  std::map<std::string, Entries> entries;  // by filter
  std::atomic<bool> refuses_connections = false;
  // What becomes of the next search, or of all where it stays set.
  std::atomic<Directory::Answer::Kind> kind = Directory::Answer::Kind::kFound;
  std::atomic<bool> throws = false;
  std::chrono::milliseconds slowness{0};
  std::atomic<int> opens = 0;
  std::atomic<int> searches = 0;
  std::atomic<int> connected = 0;
  std::atomic<int> most_connected = 0;

  // All that are there now die; later ones live.
  void restart() { ++generation_; }

 private:
  class Connection : public Directory {
   public:
    explicit Connection(ScriptedDirectory& world) : world_(world), born_(world.generation_) {
      world_.most_connected = std::max<int>(world_.most_connected, ++world_.connected);
    }
    ~Connection() override { --world_.connected; }

    Answer search(const std::string& filter) override {
      ++world_.searches;
      std::this_thread::sleep_for(world_.slowness);
      if (world_.throws) {
        throw std::runtime_error("out of memory");
      }
      if (born_ != world_.generation_) {
        return {Answer::Kind::kClosed, {}, "gone"};
      }
      if (world_.kind != Answer::Kind::kFound) {
        return {world_.kind, {}, "said no"};
      }
      const auto found = world_.entries.find(filter);
      return {Answer::Kind::kFound, found == world_.entries.end() ? Entries() : found->second, {}};
    }

   private:
    ScriptedDirectory& world_;
    const int born_;
  };

  std::unique_ptr<Directory> open(std::string& why) {
    ++opens;
    std::this_thread::sleep_for(slowness);
    if (refuses_connections) {
      why = "refused";
      return nullptr;
    }
    return std::make_unique<Connection>(*this);
  }

  std::atomic<int> generation_ = 0;
};

}  // namespace lmtpq::mailer
