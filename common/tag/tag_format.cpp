#include "common/tag/tag_format.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "common/ascii.h"
#include "common/mailbox.h"
#include "common/tag/base64.h"

namespace lmtpq {
namespace {

constexpr std::size_t kMaxDigestedId = 998;  // of a Message-ID, without blanks
constexpr std::size_t kDigestBytes = 8;
constexpr std::size_t kDigestLength = 11;  // of 8 bytes in base64url
constexpr std::size_t kFoldAt = 76;
constexpr std::size_t kRecipientBytes = 2 * (kDigestLength + 1);  // two names, and commas

std::string mac(const Key& key, std::string_view text) {
  const Mac bytes = key.mac(text);
  return base64url({bytes.data(), bytes.size()});
}

// The kind is part of the digested text, so that a digest of one kind never equals one of another.
std::string digest(const Key& key, std::string_view kind, const std::string& text) {
  const Mac bytes = key.mac(std::string(kind) + ':' + text);
  return base64url({bytes.data(), kDigestBytes});
}

std::string without_blanks(std::string_view text) {
  std::string kept;
  std::copy_if(text.begin(), text.end(), std::back_inserter(kept), [](char c) {
    return std::string_view(" \t\r\n").find(c) == std::string_view::npos;
  });
  return kept;
}

// What the digest `m` is about; empty: the message has no id. Sendmail cuts a field after 2 kB when
// it sends the message, so the mailer sees less of a long id than the milter.
std::string digested_message_id(std::string_view id) {
  return without_blanks(id).substr(0, kMaxDigestedId);
}

std::string recipient_digest(const Key& key, std::string_view address) {
  return digest(key, "rcpt", comparable_address(address));
}

std::string quota_field(const TagClaims& claims, const Key& key) {
  if (claims.quota != QuotaScope::kListed || claims.listed.empty()) {
    return claims.quota == QuotaScope::kEverybody ? "*" : "-";
  }
  std::vector<std::string> digests;
  const std::size_t count = std::min(claims.listed.size(), kMaxListed);
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::string& name : {claims.listed[i].given, claims.listed[i].resolved}) {
      if (!name.empty()) {
        digests.push_back(recipient_digest(key, name));
      }
    }
  }
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  std::string list;
  for (const std::string& one : digests) {
    list += (list.empty() ? "" : ",") + one;
  }
  return list;
}

// A group is its policy's code, a colon and digests: "d259200:DIGEST,DIGEST,r:DIGEST".
std::string over_quota_field(const TagClaims& claims, const Key& key) {
  if (claims.over_quota) {
    return claims.over_quota->code();
  }
  // Of a name that two groups have, the first counts.
  std::map<std::string, std::size_t> group_of;
  for (std::size_t group = 0; group < claims.over_quota_groups.size(); ++group) {
    for (const TagClaims::Recipient& member : claims.over_quota_groups[group].members) {
      for (const std::string& name : {member.given, member.resolved}) {
        if (!name.empty()) {
          group_of.emplace(recipient_digest(key, name), group);
        }
      }
    }
  }
  std::vector<std::string> lists(claims.over_quota_groups.size());
  for (const auto& [digest, group] : group_of) {
    lists[group] += (lists[group].empty() ? "" : ",") + digest;
  }
  std::string field;
  for (std::size_t group = 0; group < lists.size(); ++group) {
    if (!lists[group].empty()) {
      field += (field.empty() ? "" : ",") + claims.over_quota_groups[group].policy.code() + ':' +
               lists[group];
    }
  }
  return field;
}

// Breaks lines after semicolons and commas, where every mail program leaves blanks alone.
std::string folded(std::string_view value) {
  std::string text;
  std::size_t column = kTagName.size() + 2;
  while (!value.empty()) {
    const std::size_t length = std::min(value.find_first_of(";,"), value.size() - 1) + 1;
    if (column + length > kFoldAt) {
      text += "\n\t";
      column = 8;
    } else if (text.ends_with(';')) {
      text += ' ';
      ++column;
    }
    text += value.substr(0, length);
    column += length;
    value.remove_prefix(length);
  }
  return text;
}

// Takes `name=value;` from the front; nothing: another field is there.
std::optional<std::string_view> take(std::string_view& rest, std::string_view name) {
  if (!rest.starts_with(name) || rest.substr(name.size(), 1) != "=") {
    return std::nullopt;
  }
  const std::size_t end = rest.find(';');
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view value = rest.substr(name.size() + 1, end - name.size() - 1);
  rest.remove_prefix(end + 1);
  return value;
}

// The fields of a value without blanks.
struct Parsed {
  std::string_view signed_part;
  std::string_view key_id;
  TraceId trace;
  std::string_view quota;
  std::optional<std::string_view> over_quota;
  std::int64_t expiry = 0;
  std::optional<std::string_view> message_id;
  std::optional<std::string_view> queue_id;
  std::string_view mac;
};

std::optional<Parsed> parse(std::string_view text) {
  Parsed parsed;
  std::string_view rest = text;
  if (take(rest, "v") != "1") {
    return std::nullopt;
  }
  const auto key_id = take(rest, "k");
  const auto trace = take(rest, "t");
  const auto quota = take(rest, "q");
  parsed.over_quota = take(rest, "o");
  const auto expiry = take(rest, "x");
  parsed.message_id = take(rest, "m");
  parsed.queue_id = take(rest, "i");
  parsed.signed_part = text.substr(0, text.size() - rest.size());
  const auto id = trace ? TraceId::parse(*trace) : std::nullopt;
  // A tag that is bound to no message would be valid for every message.
  if (!key_id || !id || !quota || !expiry || (!parsed.message_id && !parsed.queue_id) ||
      !rest.starts_with("b=")) {
    return std::nullopt;
  }
  const auto [end, error] =
      std::from_chars(expiry->data(), expiry->data() + expiry->size(), parsed.expiry);
  if (error != std::errc() || end != expiry->data() + expiry->size() ||
      *expiry != std::to_string(parsed.expiry)) {
    return std::nullopt;
  }
  parsed.key_id = *key_id;
  parsed.trace = *id;
  parsed.quota = *quota;
  parsed.mac = rest.substr(2);
  return parsed;
}

// false: not a list of digests.
bool read_list(std::string_view list, std::vector<std::string>& digests) {
  while (true) {
    if (list.size() < kDigestLength ||
        (list.size() > kDigestLength && list[kDigestLength] != ',')) {
      return false;
    }
    digests.emplace_back(list.substr(0, kDigestLength));
    if (list.size() == kDigestLength) {
      return true;
    }
    list.remove_prefix(kDigestLength + 1);
  }
}

// false: not a list of policies and digests.
bool read_groups(std::string_view list,
                 std::vector<std::pair<std::string, OverQuotaPolicy>>& listed) {
  std::optional<OverQuotaPolicy> policy;
  while (true) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view digest = list.substr(0, end);
    if (const std::size_t colon = digest.find(':'); colon != std::string_view::npos) {
      policy = OverQuotaPolicy::decode(digest.substr(0, colon));
      digest.remove_prefix(colon + 1);
    }
    if (!policy || digest.size() != kDigestLength) {
      return false;
    }
    listed.emplace_back(digest, *policy);
    if (end == list.size()) {
      return true;
    }
    list.remove_prefix(end + 1);
  }
}

bool fits(const Key& key, std::string_view kind, const std::optional<std::string_view>& wanted,
          const std::string& text) {
  return !wanted || (!text.empty() && same_secret(*wanted, digest(key, kind, text)));
}

}  // namespace

std::string comparable_address(std::string_view address) {
  address = without_brackets(address);
  std::string text;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (address[i] == '\\' && i + 1 < address.size()) {
      ++i;
    } else if (address[i] == '"') {
      continue;
    }
    text += ascii_lower(address[i]);
  }
  return text;
}

bool TagClaims::list_over_quota(const OverQuotaPolicy& policy, Recipient recipient) {
  std::size_t used = std::min(listed.size(), kMaxListed) * kRecipientBytes + kRecipientBytes;
  PolicyGroup* group = nullptr;
  for (PolicyGroup& one : over_quota_groups) {
    used += one.policy.code().size() + 1 + one.members.size() * kRecipientBytes;
    group = one.policy == policy ? &one : group;
  }
  used += group == nullptr ? policy.code().size() + 1 : 0;
  if (used > kMaxLists) {
    return false;
  }
  if (group == nullptr) {
    group = &over_quota_groups.emplace_back(PolicyGroup{policy, {}});
  }
  group->members.push_back(std::move(recipient));
  return true;
}

std::string sign_tag(const TagClaims& claims, const Key& key) {
  std::string text =
      "v=1;k=" + key.id() + ";t=" + claims.trace.text() + ";q=" + quota_field(claims, key) + ';';
  if (const std::string field = over_quota_field(claims, key); !field.empty()) {
    text += "o=" + field + ';';
  }
  text += "x=" + std::to_string(claims.expiry) + ';';
  if (const std::string id = digested_message_id(claims.message_id); !id.empty()) {
    text += "m=" + digest(key, "message-id", id) + ';';
  }
  if (const std::string id = without_blanks(claims.queue_id); !id.empty()) {
    text += "i=" + digest(key, "queue-id", id) + ';';
  }
  return folded(text + "b=" + mac(key, text));
}

std::string claimed_key(std::string_view value) {
  const std::string text = without_blanks(value.substr(0, 4 * Key::kMaxId));
  std::string_view rest = text;
  take(rest, "v");
  return std::string(take(rest, "k").value_or("").substr(0, Key::kMaxId));
}

std::variant<Tag, TagFault> Tag::verify(std::string_view value, const Keyring& keys,
                                        const TaggedMessage& message, std::int64_t now) {
  if (value.size() > kMaxTagLength) {
    return TagFault::kMalformed;
  }
  const std::string text = without_blanks(value);
  const auto parsed = parse(text);
  if (!parsed) {
    return TagFault::kMalformed;
  }
  const Key* const key = keys.find(parsed->key_id);
  if (key == nullptr) {
    return TagFault::kUnknownKey;
  }
  if (!same_secret(parsed->mac, mac(*key, parsed->signed_part))) {
    return TagFault::kBadMac;
  }
  // The signature is valid: the contents are from the milter.
  Tag tag;
  tag.key_ = key;
  tag.trace_ = parsed->trace;
  tag.quota_ = parsed->quota == "*"   ? QuotaScope::kEverybody
               : parsed->quota == "-" ? QuotaScope::kNobody
                                      : QuotaScope::kListed;
  if (tag.quota_ == QuotaScope::kListed && !read_list(parsed->quota, tag.listed_)) {
    return TagFault::kMalformed;
  }
  if (parsed->over_quota && !tag.read_over_quota(*parsed->over_quota)) {
    return TagFault::kMalformed;
  }
  if (parsed->expiry < now) {
    return TagFault::kExpired;
  }
  if (!fits(*key, "message-id", parsed->message_id, digested_message_id(message.message_id)) ||
      !fits(*key, "queue-id", parsed->queue_id, without_blanks(message.queue_id))) {
    return TagFault::kWrongMessage;
  }
  std::sort(tag.listed_.begin(), tag.listed_.end());
  return tag;
}

bool Tag::read_over_quota(std::string_view field) {
  over_quota_ = OverQuotaPolicy::decode(field);
  if (over_quota_) {
    return true;
  }
  const bool good = read_groups(field, over_quota_listed_);
  std::stable_sort(over_quota_listed_.begin(), over_quota_listed_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return good;
}

std::optional<OverQuotaPolicy> Tag::over_quota(std::string_view address) const {
  if (over_quota_listed_.empty()) {
    return over_quota_;
  }
  const std::string wanted = recipient_digest(*key_, address);
  const auto found = std::lower_bound(over_quota_listed_.begin(), over_quota_listed_.end(), wanted,
                                      [](const auto& a, const auto& b) { return a.first < b; });
  return found != over_quota_listed_.end() && found->first == wanted ? std::optional(found->second)
                                                                     : std::nullopt;
}

bool Tag::ignores_quota(std::string_view address) const {
  if (quota_ != QuotaScope::kListed) {
    return quota_ == QuotaScope::kEverybody;
  }
  return std::binary_search(listed_.begin(), listed_.end(), recipient_digest(*key_, address));
}

}  // namespace lmtpq
