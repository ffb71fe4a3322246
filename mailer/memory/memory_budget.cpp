#include "mailer/memory/memory_budget.h"

namespace lmtpq::mailer {
namespace {

std::uint64_t ceiling(std::uint64_t limit, MemoryBudget::Use use) {
  switch (use) {
    case MemoryBudget::Use::kBody:
      return limit - limit / 4;
    case MemoryBudget::Use::kMessage:
      return limit - limit / 16;
    case MemoryBudget::Use::kClient:
      break;
  }
  return limit;
}

}  // namespace

bool MemoryBudget::take(std::size_t bytes, Use use) {
  if (used_.fetch_add(bytes) + bytes <= ceiling(limit_, use)) {
    return true;
  }
  used_ -= bytes;
  if (use == Use::kMessage) {
    ++refused_;
  }
  return false;
}

bool MemoryShare::take(std::size_t bytes, MemoryBudget::Use use) {
  if (budget_ == nullptr) {
    return true;
  }
  if (!budget_->take(bytes, use)) {
    return false;
  }
  taken_ += bytes;
  return true;
}

void MemoryShare::give_back(std::size_t bytes) {
  if (budget_ != nullptr) {
    budget_->give_back(bytes);
    taken_ -= bytes;
  }
}

}  // namespace lmtpq::mailer
