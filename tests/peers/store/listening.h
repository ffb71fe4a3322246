// The sockets that clients connect to: unix:PATH and inet:HOST:PORT.
//
// open_listener() is for the main thread; peer_name() for any. The sockets are open until the
// process exits. Throws std::runtime_error, with one line for the user, for a bad address and for
// one in use.
#pragma once

#include <string>

namespace store {

struct Listener {
  int descriptor;
  std::string address;    // as the client dials it: a port of 0 has become the real one
  std::string unix_path;  // empty for TCP; to be removed at the end
};

// A socket file that nobody listens on is replaced; like Cyrus's it lets in everybody who can
// reach its folder.
Listener open_listener(const std::string& address);

// "unix:uid=0,pid=12" or "inet:127.0.0.1:40000".
std::string peer_name(int descriptor);

}  // namespace store
