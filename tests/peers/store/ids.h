// The names that the store makes and accepts: session ids, trace ids, Maildir file names.
//
// All functions may be called from any thread, and none fails. Cyrus lib/sessionid.c for both ids;
// https://cr.yp.to/proto/maildir.html for file names.
#pragma once

#include <string>
#include <string_view>

namespace store {

inline constexpr std::size_t kMaxTraceId = 255;

// This host's name as the greeting, the ids and the file names give it.
const std::string& host_name();

// HOST-TIME-PID-COUNT-RANDOM; never the same twice.
std::string new_session_id();

// One to 255 of A-Z a-z 0-9 . _ -
bool valid_trace_id(std::string_view id);

// TIME.MmicrosecondsPpidQcount.HOST
std::string new_maildir_name();

}  // namespace store
