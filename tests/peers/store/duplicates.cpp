#include "duplicates.h"

namespace store {

bool Duplicates::claim(const std::string& key) {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return !claimed_.contains(key); });
  if (filed_.contains(key)) return false;
  claimed_.insert(key);
  return true;
}

void Duplicates::settle(const std::string& key, bool filed) {
  {
    const std::lock_guard lock(mutex_);
    claimed_.erase(key);
    if (filed && filed_.insert(key).second) oldest_first_.push_back(key);
    if (oldest_first_.size() > kMost) {
      filed_.erase(oldest_first_.front());
      oldest_first_.pop_front();
    }
  }
  settled_.notify_all();
}

}  // namespace store
