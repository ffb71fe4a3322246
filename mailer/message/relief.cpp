#include "mailer/message/relief.h"

#include <cstdint>
#include <cstring>

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kHeaderEnd = "\r\n\r\n";

// How much of `piece` belongs to the header. `matched` is how much of kHeaderEnd came before it.
std::size_t header_part(std::string_view piece, std::size_t& matched) {
  std::size_t length = 0;
  while (length < piece.size() && matched < kHeaderEnd.size()) {
    const char c = piece[length++];
    matched = c == kHeaderEnd[matched] ? matched + 1 : c == '\r' ? 1 : 0;
  }
  return length;
}

// A byte above 127 is in it. By words: the header of nearly every message is searched.
bool eight_bit(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::uint64_t word = 0;
  for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    if ((word & kHighBits) != 0) {
      return true;
    }
  }
  word = 0;
  std::memcpy(&word, text.data(), text.size());
  return (word & kHighBits) != 0;
}

}  // namespace

std::string names_of(const std::vector<Relief>& reliefs) {
  std::string names;
  for (const Relief relief : reliefs) {
    names += names.empty() ? "" : ",";
    names += kReliefNames[static_cast<int>(relief)];
  }
  return names;
}

std::vector<Relief> EightBitParts::reliefs_at(const Capabilities& store) {
  std::vector<Relief> reliefs;
  if (!store.offers("SMTPUTF8") && in_header()) {
    reliefs.push_back(Relief::kUtf8Headers);
  }
  if (!store.offers("8BITMIME") && in_body()) {
    reliefs.push_back(Relief::k8Bit);
  }
  return reliefs;
}

bool EightBitParts::in_header() {
  if (!header_) {
    const std::string_view head = message_.head();
    const std::size_t end = head.starts_with("\r\n") ? 0 : head.find(kHeaderEnd);
    if (end != std::string_view::npos || message_.size() == head.size()) {
      header_ = eight_bit(head.substr(0, end));
    } else {
      read_all();
    }
  }
  return *header_;
}

bool EightBitParts::in_body() {
  if (!body_) {
    read_all();
  }
  return *body_;
}

void EightBitParts::read_all() {
  header_ = body_ = false;
  MessageSpool::Reader reader(message_);
  std::string_view piece;
  std::size_t matched = 2;  // a message without a header begins with its empty line
  while (!*body_ && reader.next(piece) == MessageSpool::Reader::Result::kBytes) {
    const std::size_t header = header_part(piece, matched);
    header_ = *header_ || eight_bit(piece.substr(0, header));
    body_ = eight_bit(piece.substr(header));
  }
}

}  // namespace lmtpq::mailer
