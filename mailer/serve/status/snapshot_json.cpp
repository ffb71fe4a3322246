// A snapshot as JSON: what the control socket sends, and what `--status --json` prints.

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "mailer/serve/status/snapshot.h"

namespace lmtpq::mailer {
namespace {

using Json = nlohmann::ordered_json;

// Writing and reading share visit(), so that a figure cannot have two names.
class Writer {
 public:
  template <typename Value>
  void value(const char* name, const Value& value) {
    json_[name] = value;
  }
  void value(const char* name, double number) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.6g", number);
    json_[name] = std::strtod(digits, nullptr);
  }
  template <typename Item>
  void value(const char* name, const std::vector<Item>& items) {
    Json& list = json_[name] = Json::array();
    for (const Item& item : items) {
      Writer one;
      visit(one, item);
      list.push_back(std::move(one.json_));
    }
  }
  std::string text() const { return json_.dump() + "\n"; }

 private:
  Json json_ = Json::object();
};

class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}
  // A figure that an older daemon does not send keeps its value.
  template <typename Value>
  void value(const char* name, Value& value) {
    if (const auto found = json_.find(name); found != json_.end()) {
      found->get_to(value);
    }
  }
  template <typename Item>
  void value(const char* name, std::vector<Item>& items) {
    if (const auto found = json_.find(name); found != json_.end()) {
      for (const Json& json : *found) {
        Reader one(json);
        visit(one, items.emplace_back());
      }
    }
  }

 private:
  const Json& json_;
};

template <typename Way, typename Status>
requires std::is_same_v<std::remove_const_t<Status>, ListenerStatus>
void visit(Way& way, Status& listener) {
  way.value("name", listener.name);
  way.value("address", listener.address);
  way.value("clients", listener.clients);
}

template <typename Way, typename Status>
requires std::is_same_v<std::remove_const_t<Status>, StoreStatus>
void visit(Way& way, Status& store) {
  way.value("destination", store.destination);
  way.value("leased", store.leased);
  way.value("idle", store.idle);
  way.value("dialling", store.dialling);
  way.value("limit", store.limit);
  way.value("waiting", store.waiting);
  way.value("up", store.up);
  way.value("retry_in", store.retry_in);
  way.value("failure", store.failure);
  way.value("security", store.security);
  way.value("sent", store.sent);
  way.value("deferred", store.deferred);
  way.value("refused", store.refused);
  way.value("possible_duplicates", store.possible_duplicates);
  way.value("per_second", store.per_second);
  way.value("answer", store.answer);
}

template <typename Way, typename Whole>
requires std::is_same_v<std::remove_const_t<Whole>, Snapshot>
void visit(Way& way, Whole& snapshot) {
  way.value("version", snapshot.version);
  way.value("pid", snapshot.pid);
  way.value("uptime", snapshot.uptime);
  way.value("reloads", snapshot.reloads);
  way.value("failed_reloads", snapshot.failed_reloads);
  way.value("clients", snapshot.clients);
  way.value("most_clients", snapshot.most_clients);
  way.value("mailbox_waiters", snapshot.mailbox_waiters);
  way.value("messages", snapshot.messages);
  way.value("bytes", snapshot.bytes);
  way.value("spooled", snapshot.spooled);
  way.value("replies_lost", snapshot.replies_lost);
  way.value("log_lines_dropped", snapshot.log_lines_dropped);
  way.value("listeners", snapshot.listeners);
  way.value("stores", snapshot.stores);
}

}  // namespace

std::string json_of(const Snapshot& snapshot) {
  Writer writer;
  visit(writer, snapshot);
  return writer.text();
}

Snapshot parse_snapshot(const std::string& json) {
  try {
    const Json read = Json::parse(json);
    if (!read.is_object()) {
      throw std::runtime_error("the answer is not the status of lmtpq");
    }
    Snapshot made;
    Reader reader(read);
    visit(reader, made);
    return made;
  } catch (const Json::exception&) {
    throw std::runtime_error("the answer is not the status of lmtpq");
  }
}

}  // namespace lmtpq::mailer
