#include "common/shortage.h"

#include <cerrno>
#include <new>
#include <system_error>

#include "common/config_error.h"

namespace lmtpq {

void refuse_by_error(int error, const std::string& text) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      throw Shortage(text + "; make room there (df, df -i, quota)");
    case EIO:
      throw Shortage(text + "; see what the kernel says of the disk");
    case ENOMEM:
    case ENOBUFS:
      throw Shortage(text + "; see what takes the memory");
    case EMFILE:
    case ENFILE:
    case EAGAIN:
      throw Shortage(text);
    default:
      throw ConfigError(text);
  }
}

std::string shortage_text(const std::exception& error) {
  const auto* const system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) {
    return std::string("cannot start a thread: ") + error.what() +
           "; raise TasksMax= and LimitNPROC= of the unit (ulimit -u)";
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return "no memory; raise MemoryMax= of the unit (ulimit -v), or see what takes the memory";
  }
  return error.what();
}

}  // namespace lmtpq
