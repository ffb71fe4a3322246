// A snapshot as JSON: the words of the control socket and of `--status --json`.

#define BOOST_BIND_GLOBAL_PLACEHOLDERS  // Boost 1.74's own parser wants them, and says so
#include <boost/property_tree/json_parser.hpp>
#include <boost/property_tree/ptree.hpp>
#include <cstdio>
#include <sstream>

#include "mailer/json.h"
#include "mailer/serve/observe/snapshot.h"

namespace lmtpq::mailer {
namespace {

using Tree = boost::property_tree::ptree;

// Both ways in one place, so that a figure cannot be written under one name and read under another.
class Writer {
 public:
  void value(const char* name, const std::string& text) { object_.add_text(name, text); }
  void value(const char* name, std::uint64_t number) { object_.add(name, std::to_string(number)); }
  void value(const char* name, double number) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", number);
    object_.add(name, text);
  }
  void value(const char* name, bool truth) { object_.add_truth(name, truth); }
  template <typename Item>
  void value(const char* name, const std::vector<Item>& items) {
    std::vector<std::string> texts;
    for (const Item& item : items) {
      Writer one;
      visit(one, item);
      texts.push_back(one.text());
    }
    object_.add(name, json_list(texts));
  }
  std::string text() const { return object_.text(); }

 private:
  JsonObject object_;
};

class Reader {
 public:
  explicit Reader(const Tree& tree) : tree_(tree) {}
  // What an older daemon does not tell stays as it is.
  template <typename Value>
  void value(const char* name, Value& value) {
    value = tree_.get<Value>(name, value);
  }
  template <typename Item>
  void value(const char* name, std::vector<Item>& items) {
    if (const auto list = tree_.get_child_optional(name)) {
      for (const auto& [none, tree] : *list) {
        Reader one(tree);
        visit(one, items.emplace_back());
      }
    }
  }

 private:
  const Tree& tree_;
};

template <typename Way, typename Listener>
requires std::is_same_v<std::remove_const_t<Listener>, Snapshot::Listener>
void visit(Way& way, Listener& listener) {
  way.value("name", listener.name);
  way.value("address", listener.address);
  way.value("clients", listener.clients);
}

template <typename Way, typename Store>
requires std::is_same_v<std::remove_const_t<Store>, Snapshot::Store>
void visit(Way& way, Store& store) {
  way.value("destination", store.destination);
  way.value("leased", store.leased);
  way.value("idle", store.idle);
  way.value("dialling", store.dialling);
  way.value("limit", store.limit);
  way.value("waiting", store.waiting);
  way.value("well", store.well);
  way.value("rests", store.rests);
  way.value("sickness", store.sickness);
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
  way.value("replies_lost", snapshot.reply_lost);
  way.value("listeners", snapshot.listeners);
  way.value("stores", snapshot.stores);
}

}  // namespace

std::string json_of(const Snapshot& snapshot) {
  Writer writer;
  visit(writer, snapshot);
  return writer.text() + "\n";
}

Snapshot parse_snapshot(const std::string& json) {
  Tree tree;
  std::istringstream in(json);
  boost::property_tree::read_json(in, tree);
  Snapshot made;
  Reader reader(tree);
  visit(reader, made);
  return made;
}

}  // namespace lmtpq::mailer
