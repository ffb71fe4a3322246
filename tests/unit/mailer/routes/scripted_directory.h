// A directory in memory: answers by filter, failures on demand, and counts of what was asked.
//
// Its connections may be used by several threads, and must end before it.
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
    return [this](std::string& error) { return open(error); };
  }

  std::map<std::string, Entries> entries;  // by filter
  std::atomic<bool> refuses_connections = false;
  // How searches end.
  std::atomic<Directory::Result::Kind> kind = Directory::Result::Kind::kFound;
  std::atomic<bool> throws = false;
  std::atomic<bool> opens_hang = false;
  std::atomic<bool> searches_hang = false;
  std::atomic<int> together = 0;  // searches wait until this many have begun
  std::atomic<int> opens = 0;
  std::atomic<int> searches = 0;
  std::atomic<int> calls = 0;  // of Directory::search(), for any number of searches
  std::atomic<int> answers_in_time = 1'000'000;  // of each call, the first ones
  std::atomic<int> connected = 0;
  std::atomic<int> most_connected = 0;

  // Closes the connections that exist now.
  void restart() { ++generation_; }

 private:
  // The deadline only ends a test that fails.
  template <typename Condition>
  static void wait_while(Condition condition) {
    const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (condition() && std::chrono::steady_clock::now() < latest) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  class Connection : public Directory {
   public:
    explicit Connection(ScriptedDirectory& world) : world_(world), generation_(world.generation_) {
      world_.most_connected = std::max<int>(world_.most_connected, ++world_.connected);
    }
    ~Connection() override { --world_.connected; }

    std::vector<Result> search(const Filters& filters, Deadline) override {
      ++world_.calls;
      std::vector<Result> results;
      for (const std::string& filter : filters) {
        const bool in_time = static_cast<int>(results.size()) < world_.answers_in_time;
        results.push_back(in_time ? search(filter) : Result{Result::Kind::kLost, {}, "too late"});
      }
      return results;
    }

   private:
    Result search(const std::string& filter) {
      ++world_.searches;
      wait_while([&] { return world_.searches_hang || world_.searches < world_.together; });
      if (world_.throws) {
        throw std::runtime_error("out of memory");
      }
      if (generation_ != world_.generation_) {
        return {Result::Kind::kClosed, {}, "gone"};
      }
      if (world_.kind != Result::Kind::kFound) {
        return {world_.kind, {}, "said no"};
      }
      const auto found = world_.entries.find(filter);
      return {Result::Kind::kFound, found == world_.entries.end() ? Entries() : found->second, {}};
    }

    ScriptedDirectory& world_;
    const int generation_;
  };

  std::unique_ptr<Directory> open(std::string& error) {
    ++opens;
    wait_while([&] { return opens_hang.load(); });
    if (refuses_connections) {
      error = "refused";
      return nullptr;
    }
    return std::make_unique<Connection>(*this);
  }

  std::atomic<int> generation_ = 0;
};

}  // namespace lmtpq::mailer
